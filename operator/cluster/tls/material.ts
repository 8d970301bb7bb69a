/** What the Secrets of one side hold. Missing, emptied or broken, each part counts as absent. Pure. */
import { ANNOTATIONS } from '../../api/raft-cluster.ts'
import type { TlsSide } from '../../api/tls.ts'
import type { Observed } from '../observed.ts'
import type { KubeObject } from '../ports.ts'
import { type Certificate, certificatesIn, type Pair, pairOf } from './certificates.ts'
import {
  AUTHORITY_OF,
  BUNDLE_FILE,
  type Files,
  type LeafRequest,
  PREVIOUS_FILES,
  SECRETS_OF,
  TLS_FILES,
} from './leaves.ts'

export interface Material {
  /** The newest CA; undefined where it, or its key, is lost. */
  readonly newest: Pair | undefined
  /** Signs while the newest is not trusted everywhere. */
  readonly previous: Pair | undefined
  /** All that are to be trusted, the newest first. */
  readonly authorities: readonly Certificate[]
  /** What members are given to trust now. */
  readonly trusted: readonly Certificate[]
  /** Value of the annotation that the newest CA answers. */
  readonly answered: string | undefined
}

export function materialOf({ objects }: Observed, side: TlsSide): Material {
  const secret = objects.tls.get(AUTHORITY_OF[side])
  const newest = pairIn(secret, TLS_FILES)
  const trusted = bundleIn(objects.tls.get(SECRETS_OF[side][0]))
  const kept = bundleIn(secret)
  const isNewest = ({ fingerprint }: Certificate): boolean => fingerprint === newest?.certificate.fingerprint
  return {
    newest,
    previous: pairIn(secret, PREVIOUS_FILES),
    // Where the CA is lost, what members trust is known from their own Secret.
    authorities:
      newest === undefined
        ? certificatesIn([...kept, ...trusted].map(({ pem }) => pem).join(''))
        : [newest.certificate, ...kept.filter((one) => !isNewest(one))],
    trusted,
    answered: secret?.metadata.annotations?.[ANNOTATIONS.rotateAuthorities],
  }
}

export function leafIn(
  { objects }: Observed,
  { secret, files }: Pick<LeafRequest, 'secret' | 'files'>,
): Pair | undefined {
  return pairIn(objects.tls.get(secret), files)
}

export function pairIn(secret: KubeObject | undefined, files: Files): Pair | undefined {
  return read(secret, pairs, files.certificate, () =>
    pairOf(textIn(secret, files.certificate), textIn(secret, files.key)),
  )
}

function bundleIn(secret: KubeObject | undefined): readonly Certificate[] {
  return read(secret, bundles, BUNDLE_FILE, () => certificatesIn(textIn(secret, BUNDLE_FILE)))
}

/** A decision asks for the same again and again; what was read of a Secret is never changed in place. */
type Known<T> = WeakMap<KubeObject, Map<string, { readonly value: T }>>
const pairs: Known<Pair | undefined> = new WeakMap()
const bundles: Known<readonly Certificate[]> = new WeakMap()

function read<T>(secret: KubeObject | undefined, known: Known<T>, file: string, parse: () => T): T {
  if (secret === undefined) return parse()
  const files = known.get(secret) ?? new Map<string, { readonly value: T }>()
  known.set(secret, files)
  const found = files.get(file) ?? { value: parse() }
  files.set(file, found)
  return found.value
}

/** Empty where there is none. */
export function textIn(secret: KubeObject | undefined, key: string): string {
  const data = secret?.['data']
  const encoded: unknown = typeof data === 'object' && data !== null ? Reflect.get(data, key) : undefined
  return typeof encoded === 'string' ? Buffer.from(encoded, 'base64').toString() : ''
}

export function keysOf(secret: KubeObject | undefined): readonly string[] {
  return Object.keys(Object(secret?.['data']))
}
