// The names in a certificate's subjectAltName, from the text that Node makes of them.

export interface AlternativeNames {
  readonly dnsNames: readonly string[];
  readonly ipAddresses: readonly string[];
}

/** Node joins the names with ", " and writes those that contain odd characters as JSON strings. */
export function alternativeNames(text: string): AlternativeNames {
  const dnsNames: string[] = [];
  const ipAddresses: string[] = [];
  for (const match of text.matchAll(
    /(DNS|IP Address|URI|email|othername|DirName):("(?:[^"\\]|\\.)*"|[^,]*)(?:, |$)/g,
  )) {
    const value = match[2] as string;
    const name = value.startsWith('"') ? (JSON.parse(value) as string) : value;
    if (match[1] === "DNS") dnsNames.push(name);
    else if (match[1] === "IP Address") ipAddresses.push(name);
  }
  return { dnsNames, ipAddresses };
}
