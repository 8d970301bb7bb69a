/** TLS of fake members: what they report by their arguments and mounted files, and who can talk to them. */
import type { TlsInForce, TlsScheme } from '../../../lib/admin-api.ts'
import {
  anchorOf,
  type Certificate,
  certificatesIn,
  isSame,
  isValidFor,
  type Pair,
  pairOf,
} from '../tls/certificates.ts'

/** By name of the Secret, then by key: text. */
export type Mounts = ReadonlyMap<string, Mounted>
export type Mounted = Readonly<Record<string, string>>

export interface Talker {
  readonly name: string
  readonly host: string
  /** Schemes that the others know it by. */
  readonly known: readonly TlsScheme[]
  readonly schemes: readonly TlsScheme[]
  readonly pair: Pair | undefined
  /** Asks for certificates. */
  readonly isAsking: boolean
  readonly trusted: readonly Certificate[]
}

interface Files {
  readonly certificate: string
  readonly key: string
}

export function talkerOf(
  side: 'peer' | 'client',
  pod: string,
  args: readonly string[],
  mounts: Mounts,
  known: readonly TlsScheme[] | undefined,
): Talker {
  const [listen, advertise] =
    side === 'peer'
      ? ['listen-peer-urls', 'initial-advertise-peer-urls']
      : ['listen-client-urls', 'advertise-client-urls']
  const value = (flag: string): string =>
    (args.find((arg) => arg.startsWith(`--${flag}=`)) ?? '')
      .slice(flag.length + 3)
      .replaceAll('$(POD_NAME)', pod)
      .replaceAll('$(POD_NAMESPACE)', 'ns')
  const schemesOf = (urls: string): readonly TlsScheme[] => urls.split(',').map(schemeOf)
  const secret = [...mounts.keys()].find((name) => name.endsWith(side === 'peer' ? '-peer-tls' : '-server-tls'))
  const files = filesOf(side, pod)
  const mounted = mounts.get(secret ?? '') ?? {}
  const isMounted = value(side === 'peer' ? 'peer-cert-file' : 'cert-file') !== ''
  return {
    name: pod,
    host: /\/\/([^:/]+)/.exec(value(advertise))?.[1] ?? '',
    known: known ?? schemesOf(value(advertise)),
    schemes: schemesOf(value(listen)),
    pair: isMounted ? read(pairs, mounted, () => pairIn(mounted, files)) : undefined,
    isAsking: args.includes(side === 'peer' ? '--peer-client-cert-auth' : '--client-cert-auth'),
    trusted: isMounted ? read(bundles, mounted, () => certificatesIn(mounted['ca.crt'] ?? '')) : [],
  }
}

export function schemeOf(url: string): TlsScheme {
  return url.startsWith('https') ? 'https' : 'http'
}

function filesOf(side: 'peer' | 'client', pod: string): Files {
  return side === 'peer' ? { certificate: `${pod}.crt`, key: `${pod}.key` } : { certificate: 'tls.crt', key: 'tls.key' }
}

/** A member takes all of its files, or none of them. */
export function isUsable(secret: string, pod: string, mounted: Mounted): boolean {
  const side = secret.endsWith('-peer-tls') ? 'peer' : secret.endsWith('-server-tls') ? 'client' : undefined
  if (side === undefined) return true
  return pairIn(mounted, filesOf(side, pod)) !== undefined && certificatesIn(mounted['ca.crt'] ?? '').length > 0
}

function pairIn(mounted: Mounted, files: Files): Pair | undefined {
  return pairOf(mounted[files.certificate] ?? '', mounted[files.key] ?? '')
}

/** Members read files only when they change. */
const pairs = new WeakMap<Mounted, { readonly value: Pair | undefined }>()
const bundles = new WeakMap<Mounted, { readonly value: readonly Certificate[] }>()

function read<T>(known: WeakMap<Mounted, { readonly value: T }>, mounted: Mounted, parse: () => T): T {
  const found = known.get(mounted) ?? { value: parse() }
  known.set(mounted, found)
  return found.value
}

export function reportOf({ pair, trusted, schemes, known }: Talker): TlsInForce | undefined {
  if (pair === undefined) return undefined
  const leaf = pair.certificate
  return {
    certificate: leaf.fingerprint,
    notAfter: new Date(leaf.notAfterMs).toISOString(),
    trusted: trusted.map(({ fingerprint }) => fingerprint).toSorted(),
    schemes,
    advertised: known.includes('http') ? 'http' : 'https',
  }
}

/** Why one cannot dial the other by any scheme that it knows it by; undefined where it can. */
export function obstacleBetween(from: Talker, to: Talker, nowMs: number): string | undefined {
  const way = `${from.name} → ${to.name}`
  const schemes = to.known.filter((scheme) => to.schemes.includes(scheme))
  if (schemes.length === 0) return `${way}: is known by ${to.known.join()} and listens to ${to.schemes.join()}`
  if (schemes.includes('http')) return undefined
  return distrustOf(way, to, from, nowMs) ?? distrustOf(way, from, to, nowMs)
}

/** All that it shows and trusts is of one CA, which the bundle consists of; or it has no TLS. */
export function hasOnly({ schemes, pair, trusted }: Talker, bundle: string): boolean {
  if (!schemes.includes('https')) return true
  const [wanted, ...others] = certificatesIn(bundle)
  if (pair === undefined || wanted === undefined || others.length > 0) return false
  return trusted.every((one) => isSame(one, wanted)) && anchorOf(pair, [wanted]) !== undefined
}

/** PEM. */
export interface Caller {
  readonly trusted: string
  readonly certificate: string
  readonly key: string
  /** Otherwise that of the member. */
  readonly serverName?: string
}

/** Why a client is not served by a member; undefined where it is. */
export function obstacleFor(client: Caller | undefined, to: Talker, nowMs: number): string | undefined {
  if (to.schemes.includes('http')) return undefined
  const way = `client → ${to.name}`
  if (client === undefined) return `${way}: has no certificate`
  const { pair, trusted } = parsed(client)
  const shown = { name: 'the client', host: undefined, pair }
  const distrust = distrustOf(
    way,
    { ...to, host: client.serverName ?? to.host },
    { name: 'the client', trusted },
    nowMs,
  )
  return distrust ?? (to.isAsking ? distrustOf(way, shown, to, nowMs) : undefined)
}

interface Parsed {
  readonly pair: Pair | undefined
  readonly trusted: readonly Certificate[]
}

/** By their texts: the operator reads its Secret at every look. */
const callers = new Map<string, Parsed>()

function parsed({ trusted, certificate, key }: Caller): Parsed {
  const text = `${trusted}${certificate}${key}`
  const found = callers.get(text) ?? { pair: pairOf(certificate, key), trusted: certificatesIn(trusted) }
  callers.set(text, found)
  return found
}

interface Shown {
  readonly name: string
  /** Undefined where its name is not asked for. */
  readonly host: string | undefined
  readonly pair: Pair | undefined
}

function distrustOf(
  way: string,
  { name, host, pair }: Shown,
  judge: Pick<Talker, 'name' | 'trusted'>,
  nowMs: number,
): string | undefined {
  if (pair === undefined) return `${way}: ${name} has no certificate`
  const { certificate } = pair
  if (certificate.notAfterMs <= nowMs) return `${way}: the certificate of ${name} is over`
  if (anchorOf(pair, judge.trusted) === undefined) return `${way}: ${judge.name} does not trust the CA of ${name}`
  if (host === undefined || isValidFor(certificate, host)) return undefined
  return `${way}: ${name} is not named by its certificate`
}
