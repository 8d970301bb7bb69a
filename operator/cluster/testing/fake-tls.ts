/** TLS of fake members: what they report by their arguments and mounted files, and whether any two of them can talk. */
import type { TlsInForce, TlsScheme } from '../../../lib/admin-api.ts'
import { type Certificate, certificatesIn, isIssuedBy, type Pair, pairOf } from '../tls/certificates.ts'

/** By name of the Secret, then by key: text. */
export type Mounts = ReadonlyMap<string, Mounted>
export type Mounted = Readonly<Record<string, string>>

export interface Talker {
  readonly name: string
  readonly host: string
  /** Scheme that the others know it by. */
  readonly known: TlsScheme
  readonly schemes: readonly TlsScheme[]
  readonly leaf: Certificate | undefined
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
  known: TlsScheme | undefined,
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
  const schemeOf = (url: string): TlsScheme => (url.startsWith('https') ? 'https' : 'http')
  const secret = [...mounts.keys()].find((name) => name.endsWith(side === 'peer' ? '-peer-tls' : '-server-tls'))
  const files: Files =
    side === 'peer' ? { certificate: `${pod}.crt`, key: `${pod}.key` } : { certificate: 'tls.crt', key: 'tls.key' }
  const mounted = mounts.get(secret ?? '') ?? {}
  const isMounted = value(side === 'peer' ? 'peer-cert-file' : 'cert-file') !== ''
  return {
    name: pod,
    host: /\/\/([^:/]+)/.exec(value(advertise))?.[1] ?? '',
    known: known ?? schemeOf(value(advertise)),
    schemes: value(listen).split(',').map(schemeOf),
    leaf: isMounted ? read(leaves, mounted, () => pairIn(mounted, files)?.certificate) : undefined,
    trusted: isMounted ? read(bundles, mounted, () => certificatesIn(mounted['ca.crt'] ?? '')) : [],
  }
}

function pairIn(mounted: Mounted, files: Files): Pair | undefined {
  return pairOf(mounted[files.certificate] ?? '', mounted[files.key] ?? '')
}

/** Members read files only when they change. */
const leaves = new WeakMap<Mounted, { readonly value: Certificate | undefined }>()
const bundles = new WeakMap<Mounted, { readonly value: readonly Certificate[] }>()

function read<T>(known: WeakMap<Mounted, { readonly value: T }>, mounted: Mounted, parse: () => T): T {
  const found = known.get(mounted) ?? { value: parse() }
  known.set(mounted, found)
  return found.value
}

export function reportOf({ leaf, trusted, schemes, known }: Talker): TlsInForce | undefined {
  if (leaf === undefined) return undefined
  return {
    certificate: leaf.fingerprint,
    notAfter: new Date(leaf.notAfterMs).toISOString(),
    trusted: trusted.map(({ fingerprint }) => fingerprint).toSorted(),
    schemes,
    advertised: known,
  }
}

/** Why one cannot dial the other; undefined where it can. */
export function obstacleBetween(from: Talker, to: Talker, nowMs: number): string | undefined {
  const way = `${from.name} → ${to.name}`
  if (!to.schemes.includes(to.known)) return `${way}: is known by ${to.known} and listens to ${to.schemes.join()}`
  if (to.known === 'http') return undefined
  for (const [shown, judge] of [
    [to, from],
    [from, to],
  ] as const) {
    const { leaf } = shown
    if (leaf === undefined) return `${way}: ${shown.name} has no certificate`
    if (leaf.notAfterMs <= nowMs) return `${way}: the certificate of ${shown.name} is over`
    if (!judge.trusted.some((authority) => isIssuedBy(leaf, authority)))
      return `${way}: ${judge.name} does not trust the CA of ${shown.name}`
    if (leaf.parsed.checkHost(shown.host) === undefined) return `${way}: ${shown.name} is not named by its certificate`
  }
  return undefined
}
