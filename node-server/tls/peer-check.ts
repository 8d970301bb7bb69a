/** Whether the certificate that the other side has shown is one that is let in, beyond coming from a trusted CA. */
import type { X509Certificate } from 'node:crypto'
import { lookup, reverse } from 'node:dns/promises'
import { isIP } from 'node:net'
import type { TLSSocket } from 'node:tls'
import { err, ok, type Result } from '../../lib/result.ts'
import { plainAddress } from '../address/address.ts'
import { normalizeSerial, revokedSerials } from './revocation-list.ts'
import type { TlsOptions } from './options.ts'
import { WatchedFile } from './watched-file.ts'

const MAX_CHAIN_LENGTH = 16

/** The chain as shown, the other side's own first; empty when it has shown none. */
export function shownChain(socket: TLSSocket): readonly X509Certificate[] {
  const chain: X509Certificate[] = []
  let next = socket.getPeerX509Certificate()
  while (next !== undefined && chain.length < MAX_CHAIN_LENGTH) {
    chain.push(next)
    next = next.issuerCertificate
  }
  return chain
}

export function commonName(certificate: X509Certificate): string {
  // Undefined when it is empty, whatever the types say.
  const subject: string | undefined = certificate.subject
  const names = subject?.split('\n').filter((line) => line.startsWith('CN='))
  return names?.at(-1)?.slice('CN='.length) ?? ''
}

export interface AlternativeNames {
  readonly dns: readonly string[]
  readonly addresses: readonly string[]
}

export function alternativeNames({ subjectAltName = '' }: X509Certificate): AlternativeNames {
  // A value with a comma or a quote in it is written as a JSON string; no name or address that could match has one.
  const parts = subjectAltName.split(', ')
  const of = (kind: string): string[] =>
    parts.filter((part) => part.startsWith(kind)).map((part) => part.slice(kind.length))
  return { dns: of('DNS:'), addresses: of('IP Address:') }
}

/** Go's rule: an address is looked for among the addresses, a name among the DNS names; the common name never counts. */
export function isFor(certificate: X509Certificate, host: string): boolean {
  if (isIP(host) !== 0) return certificate.checkIP(host) !== undefined
  return certificate.checkHost(host, { subject: 'never' }) !== undefined
}

/** --…-cert-allowed-cn and --…-cert-allowed-hostname. */
export function checkAllowed(
  chain: readonly X509Certificate[],
  { allowedCNs, allowedHostnames }: Pick<TlsOptions, 'allowedCNs' | 'allowedHostnames'>,
): Result<void, string> {
  if (allowedCNs.length === 0 && allowedHostnames.length === 0) return ok(undefined)
  const [leaf] = chain
  const isAllowed =
    leaf !== undefined &&
    (allowedCNs.includes(commonName(leaf)) || allowedHostnames.some((hostname) => isFor(leaf, hostname)))
  return isAllowed ? ok(undefined) : err('client certificate authentication failed')
}

/** The list is read again when it has changed. A list that cannot be read lets nobody in. */
export class RevocationCheck {
  readonly #file: WatchedFile
  #stamp = ''
  #serials: Result<ReadonlySet<string>, string> = ok(new Set())

  constructor(path: string) {
    this.#file = new WatchedFile(path)
  }

  check(chain: readonly X509Certificate[]): Result<void, string> {
    if (chain.length === 0) return ok(undefined)
    const serials = this.#current()
    if (!serials.ok) return serials
    const revoked = chain.find(({ serialNumber }) => serials.value.has(normalizeSerial(serialNumber)))
    return revoked === undefined
      ? ok(undefined)
      : err(`transport: certificate serial ${revoked.serialNumber.toLowerCase()} revoked`)
  }

  #current(): Result<ReadonlySet<string>, string> {
    try {
      const { content, stamp } = this.#file.read()
      if (stamp !== this.#stamp) this.#serials = revokedSerials(content)
      this.#stamp = stamp
      return this.#serials.ok ? this.#serials : err(`${this.#file.path}: ${this.#serials.error}`)
    } catch (error) {
      return err(`cannot read ${this.#file.path}: ${error instanceof Error ? error.message : String(error)}`)
    }
  }
}

/**
 * A member's certificate must be for the address that it comes from, when it names any: by address, or by a name that the
 * address belongs to, asked of the resolver in both directions (etcd: client/pkg/transport/listener_tls.go).
 */
export async function checkRemoteAddress(
  certificate: X509Certificate,
  remoteAddress: string,
  resolver: Resolver = { lookup, reverse },
): Promise<Result<void, string>> {
  const { dns, addresses } = alternativeNames(certificate)
  const address = plainAddress(remoteAddress)
  if (dns.length === 0 && addresses.length === 0) return ok(undefined)
  if (addresses.length > 0 && certificate.checkIP(address) !== undefined) return ok(undefined)
  if (dns.length === 0) return err(`x509: certificate is valid for ${addresses.join(', ')}, not ${address}`)
  if (await belongsTo(address, dns, resolver)) return ok(undefined)
  return err(`tls: "${address}" does not match any of DNSNames [${dns.map((name) => `"${name}"`).join(' ')}]`)
}

export interface Resolver {
  readonly lookup: (name: string, options: { all: true }) => Promise<readonly { readonly address: string }[]>
  readonly reverse: (address: string) => Promise<readonly string[]>
}

async function belongsTo(address: string, dns: readonly string[], { lookup, reverse }: Resolver): Promise<boolean> {
  const wildcards = dns.filter((name) => name.startsWith('*.')).map((name) => name.slice(1))
  const names = dns.filter((name) => !name.startsWith('*.'))
  const found = await reverse(address).catch(() => [])
  for (const name of found.map((name) => name.replace(/\.$/, ''))) {
    if (names.includes(name) || wildcards.some((wildcard) => name.endsWith(wildcard))) return true
  }
  for (const name of names) {
    const resolved = await lookup(name, { all: true }).catch(() => [])
    if (resolved.some((each) => each.address === address)) return true
  }
  return false
}
