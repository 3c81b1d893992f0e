/** Names as Node lists them, each in one spelling. Others, such as Asia/Kolkata, are links to one of them. */
const LISTED = new Set(Intl.supportedValuesOf('timeZone'));

/** How a link's name is spelled. Node takes any case, and abbreviations, which Temporal's server does not. */
const LINK = /^(UTC|Etc\/(UTC|GMT([+-]\d{1,2})?)|(US|[A-Z][a-z]+)(\/[A-Z][a-z]+([_-][A-Za-z][a-z]*)*)+)$/;

/** Whether Temporal's server knows the IANA name, as far as this can be told without it. */
export function isTimeZone(name: string): boolean {
  if (LISTED.has(name)) return true;
  try {
    const { timeZone } = new Intl.DateTimeFormat('en', { timeZone: name }).resolvedOptions();
    // A listed name in another spelling is none.
    return LINK.test(name) && (timeZone === name || timeZone.toLowerCase() !== name.toLowerCase());
  } catch {
    return false;
  }
}
