/** What is in PEM: certificates, and whether a key is theirs. Texts that are none count as absent. Pure. */
import { createPrivateKey, hash, X509Certificate } from 'node:crypto'

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
  /** It, and those between it and its CA that are shown with it. */
  readonly chain: readonly Certificate[]
  /** PEM. */
  readonly key: string
}

const BLOCK = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g

/** Those that can be read, each once, in their order. */
export function certificatesIn(pem: string): readonly Certificate[] {
  return unique([...pem.matchAll(BLOCK)].flatMap(([block]) => certificateOf(block) ?? []))
}

/** A look reads the Secrets of its cluster from the API server, and mostly finds what the one before found. Together some 10 MB. */
const MOST_READ = 2_000
/** By their text, the oldest first. */
const read = new Map<string, Certificate | undefined>()

function certificateOf(block: string): Certificate | undefined {
  if (read.has(block)) return read.get(block)
  const [oldest] = read.keys()
  if (oldest !== undefined && read.size >= MOST_READ) read.delete(oldest)
  const certificate = parsed(block)
  read.set(block, certificate)
  return certificate
}

function parsed(block: string): Certificate | undefined {
  try {
    const certificate = new X509Certificate(block)
    return {
      pem: `${block}\n`,
      fingerprint: certificate.fingerprint256.replaceAll(':', '').toLowerCase(),
      notBeforeMs: Date.parse(certificate.validFrom),
      notAfterMs: Date.parse(certificate.validTo),
      parsed: certificate,
    }
  } catch {
    return undefined
  }
}

/** Undefined where either is missing or broken, or the key is another certificate's. */
export function pairOf(certificatePem: string, key: string): Pair | undefined {
  const chain = certificatesIn(certificatePem)
  const [certificate] = chain
  return certificate !== undefined && isKeyOf(certificate, key) ? { certificate, chain, key } : undefined
}

/** SHA-256 of the key that was seen to be a certificate's. */
const keys = new WeakMap<Certificate, string>()

function isKeyOf(certificate: Certificate, key: string): boolean {
  const digest = hash('sha256', key)
  if (keys.get(certificate) === digest) return true
  try {
    if (!certificate.parsed.checkPrivateKey(createPrivateKey(key))) return false
    keys.set(certificate, digest)
    return true
  } catch {
    return false
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

/** The CA that a certificate hangs on, by way of those that are shown with it; undefined where none of these is. */
export function anchorOf({ chain }: Pick<Pair, 'chain'>, authorities: readonly Certificate[]): Certificate | undefined {
  const above = [...chain]
  for (let at = above.shift(); at !== undefined;) {
    const below = at
    const anchor = authorities.find((authority) => isIssuedBy(below, authority))
    if (anchor !== undefined) return anchor
    const next = above.findIndex((one) => isIssuedBy(below, one))
    at = next < 0 ? undefined : above.splice(next, 1)[0]
  }
  return undefined
}

export function pemOf(certificates: readonly Certificate[]): string {
  return certificates.map(({ pem }) => pem).join('')
}

/** Each once, in their order. */
export function unique(certificates: readonly Certificate[]): readonly Certificate[] {
  return certificates.filter((one, index) => certificates.findIndex((other) => isSame(one, other)) === index)
}

export function isSame(one: Certificate, other: Certificate): boolean {
  return one.fingerprint === other.fingerprint
}

export function isAmong(one: Certificate, others: readonly Certificate[]): boolean {
  return others.some((other) => isSame(one, other))
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

/** A wildcard stands for one label, and no common name for any. */
export function isValidFor({ parsed }: Certificate, host: string): boolean {
  return parsed.checkHost(host, { subject: 'never' }) !== undefined
}

export type Purpose = 'serverAuth' | 'clientAuth'

/** Of an extended key usage (RFC 5280 §4.2.1.12). */
const PURPOSES: Readonly<Record<Purpose, string>> = {
  serverAuth: '1.3.6.1.5.5.7.3.1',
  clientAuth: '1.3.6.1.5.5.7.3.2',
}

/** One that names no purpose is for all. */
export function isMeantFor({ parsed }: Certificate, purpose: Purpose): boolean {
  // Undefined where there are none, whatever its type says.
  const purposes: readonly string[] | undefined = parsed.keyUsage
  return purposes === undefined || purposes.includes(PURPOSES[purpose])
}

/** Or a name: no name has a colon, or four numbers. */
export function isAddress(text: string): boolean {
  return text.includes(':') || /^\d+(\.\d+){3}$/.test(text)
}
