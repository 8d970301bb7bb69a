/** What is in PEM: certificates, and whether a key is theirs. Texts that are none count as absent. Pure. */
import { createPrivateKey, X509Certificate } from 'node:crypto'

export interface Certificate {
  readonly pem: string
  /** SHA-256 of its DER, in hex. */
  readonly fingerprint: string
  readonly notBeforeMs: number
  readonly notAfterMs: number
  readonly parsed: X509Certificate
}

export interface Pair {
  readonly certificate: Certificate
  /** PEM. */
  readonly key: string
}

const BLOCK = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g

/** Those that can be read, each once, in their order. */
export function certificatesIn(pem: string): readonly Certificate[] {
  const all = [...pem.matchAll(BLOCK)].flatMap(([block]) => certificateOf(block) ?? [])
  return all.filter((one, index) => all.findIndex(({ fingerprint }) => fingerprint === one.fingerprint) === index)
}

function certificateOf(block: string): Certificate | undefined {
  try {
    const parsed = new X509Certificate(block)
    return {
      pem: `${block}\n`,
      fingerprint: parsed.fingerprint256.replaceAll(':', '').toLowerCase(),
      notBeforeMs: Date.parse(parsed.validFrom),
      notAfterMs: Date.parse(parsed.validTo),
      parsed,
    }
  } catch {
    return undefined
  }
}

/** Undefined where either is missing or broken, or the key is another certificate's. */
export function pairOf(certificatePem: string, key: string): Pair | undefined {
  const [certificate] = certificatesIn(certificatePem)
  try {
    if (certificate === undefined || !certificate.parsed.checkPrivateKey(createPrivateKey(key))) return undefined
    return { certificate, key }
  } catch {
    return undefined
  }
}

export function isIssuedBy(leaf: Certificate, authority: Certificate): boolean {
  const verdicts = known.get(leaf) ?? new WeakMap<Certificate, boolean>()
  known.set(leaf, verdicts)
  const verdict =
    verdicts.get(authority) ??
    (leaf.parsed.checkIssued(authority.parsed) && leaf.parsed.verify(authority.parsed.publicKey))
  verdicts.set(authority, verdict)
  return verdict
}

/** A signature is verified once. */
const known = new WeakMap<Certificate, WeakMap<Certificate, boolean>>()

/** Valid for these names and addresses, and for no other. */
export function isFor({ parsed }: Certificate, names: readonly string[]): boolean {
  const entries = (parsed.subjectAltName ?? '').split(', ').filter((entry) => entry !== '')
  const texts = new Set(entries.flatMap((entry) => (entry.startsWith('DNS:') ? [entry.slice('DNS:'.length)] : [])))
  const addresses = names.filter((name) => isAddress(name))
  const wanted = names.filter((name) => !isAddress(name))
  return (
    entries.length === names.length &&
    wanted.every((name) => texts.has(name)) &&
    addresses.every((address) => parsed.checkIP(address) !== undefined)
  )
}

/** Or a name: no name has a colon, or four numbers. */
function isAddress(text: string): boolean {
  return text.includes(':') || /^\d+(\.\d+){3}$/.test(text)
}
