/** The text as one word of bash, zsh or fish, whatever it contains. */
export const quoted = (text: string) => `'${text.replaceAll("'", "'\\''")}'`;
