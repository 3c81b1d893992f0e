type Properties = Readonly<Record<string, string>>;

const IDENTITY =
  /^(s3|client)\.(access-key-id|secret-access-key|session-token|role-arn|anonymous)$|^client\.assume-role\.arn$/;

/** Whether the properties contain AWS keys with which S3 can be read. */
export function hasKeys(properties: Properties): boolean {
  return Boolean(properties['s3.access-key-id'] || properties['client.access-key-id']);
}

/** Whether the properties choose with which credentials S3 is read: keys, a profile, a role, or none (`s3.anonymous`). */
export function hasIdentity(properties: Properties): boolean {
  return Object.entries(properties).some(
    ([key, value]) => value && (IDENTITY.test(key) || /^(s3|client)\.profile-name$/.test(key)),
  );
}

/**
 * The lower properties with the upper ones added. Keys among the upper ones replace the whole identity of the lower ones: its session and role do not
 * belong to them, and they apply even if the lower ones are anonymous. The profile is kept, because with keys it only supplies the region.
 */
export function overlaid(lower: Properties, upper: Properties): Record<string, string> {
  if (!hasKeys(upper)) return { ...lower, ...upper };
  const kept = Object.entries(lower).filter(([key]) => !IDENTITY.test(key));
  return { ...Object.fromEntries(kept), ...upper };
}
