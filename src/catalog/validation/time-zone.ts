/** The canonical names of time zones in Node. Other names, such as Asia/Kolkata, are links to them. */
const LISTED = new Set(Intl.supportedValuesOf('timeZone'));

/** The form of a link's name. Node accepts abbreviations and any case; Temporal's server does not. */
const LINK = /^(UTC|Etc\/(UTC|GMT([+-]\d{1,2})?)|(US|[A-Z][a-z]+)(\/[A-Z][a-z]+([_-][A-Za-z][a-z]*)*)+)$/;

/** Whether Temporal's server accepts the IANA name, as far as this can be determined without calling it. */
export function isTimeZone(name: string): boolean {
  if (LISTED.has(name)) return true;
  try {
    const { timeZone } = new Intl.DateTimeFormat('en', { timeZone: name }).resolvedOptions();
    // A canonical name in different case is not accepted.
    return LINK.test(name) && (timeZone === name || timeZone.toLowerCase() !== name.toLowerCase());
  } catch {
    return false;
  }
}
