/** What one side has to do with: its CAs, and where its certificates come from. Pure. */
import { ANNOTATIONS } from '../../api/raft-cluster.ts'
import type { TlsSide } from '../../api/tls.ts'
import type { Observed } from '../observed.ts'
import { type Certificate, isAmong, type Pair, unique } from './certificates.ts'
import { AUTHORITY_OF, PREVIOUS_FILES, SECRETS_OF, TLS_FILES } from './leaves.ts'
import { bundleIn, pairIn } from './secrets.ts'
import { type Source, sourceOf } from './source.ts'

export interface Material {
  /** The operator's newest CA; undefined where it, or its key, is lost or over, and where certificates come from elsewhere. */
  readonly newest: Pair | undefined
  /** A CA of the operator that signs what cannot wait until everybody trusts what is to come. */
  readonly previous: Pair | undefined
  /** Undefined where the operator issues certificates itself. */
  readonly source: Source | undefined
  /** CAs that are trusted in the end; none while none is known. */
  readonly wanted: readonly Certificate[]
  /** All that are to be trusted, those first. */
  readonly authorities: readonly Certificate[]
  /** What members are given to trust now. */
  readonly trusted: readonly Certificate[]
  /** Value of the annotation that the newest CA answers. */
  readonly answered: string | undefined
}

export function materialOf(observed: Observed, side: TlsSide): Material {
  const sides = known.get(observed) ?? {}
  known.set(observed, sides)
  sides[side] ??= gathered(observed, side)
  return sides[side]
}

/** Rules and status ask for the same; what was observed is never changed in place. */
const known = new WeakMap<Observed, Partial<Record<TlsSide, Material>>>()

function gathered(observed: Observed, side: TlsSide): Material {
  const { objects, nowMs } = observed
  const secret = objects.tls.get(AUTHORITY_OF[side])
  const own = [pairIn(secret, TLS_FILES)].find((pair) => pair !== undefined && pair.certificate.notAfterMs > nowMs)
  const kept = bundleIn(secret)
  const trusted = trustedIn(observed, side)
  const source = sourceOf(observed, side)
  const wanted = source?.authorities ?? (own === undefined ? [] : [own.certificate])
  // Where one of the two was lost, the other one knows what members trust. What the operator's CA knows is old news while another source is in use.
  const others = source === undefined ? [...kept, ...trusted] : trusted.length === 0 ? kept : trusted
  return {
    newest: source === undefined ? own : undefined,
    previous: source === undefined ? pairIn(secret, PREVIOUS_FILES) : trustedPair(own, trusted),
    source,
    wanted,
    authorities: unique([...wanted, ...others]),
    trusted,
    answered: secret?.metadata.annotations?.[ANNOTATIONS.rotateAuthorities],
  }
}

/** By what members mount; where that was lost, by what the others have. */
function trustedIn({ objects }: Observed, side: TlsSide): readonly Certificate[] {
  const [first = [], ...others] = SECRETS_OF[side].map((secret) => bundleIn(objects.tls.get(secret)))
  return first.length > 0 ? first : unique(others.flat())
}

function trustedPair(pair: Pair | undefined, trusted: readonly Certificate[]): Pair | undefined {
  return pair !== undefined && isAmong(pair.certificate, trusted) ? pair : undefined
}
