/** What members of each phase listen to, and are known by. Any two phases that stand side by side have a scheme in common. Pure. */
import type { TlsScheme } from '../../../lib/admin-api.ts'
import type { RaftCluster } from '../../api/raft-cluster.ts'
import type { TlsPhase } from '../../api/status.ts'
import type { TlsSide } from '../../api/tls.ts'

/** They advertise every scheme that they listen to: whoever dials them takes the one that it can. */
export const LISTENED: Readonly<Record<TlsPhase, readonly TlsScheme[]>> = {
  Disabled: ['http'],
  Accepted: ['http', 'https'],
  Preferred: ['http', 'https'],
  Required: ['https'],
}

/** Every pod of this phase, of the one before and of the one after takes it: so the operator calls, and so members join. */
const COMMON: Readonly<Record<TlsPhase, TlsScheme>> = {
  Disabled: 'http',
  Accepted: 'http',
  Preferred: 'https',
  Required: 'https',
}

type Source = Pick<RaftCluster, 'recorded'>

/** As recorded: the pod template follows it, never the other way round. */
export function phaseOf({ recorded }: Source, side: TlsSide): TlsPhase {
  return recorded.tls?.[side].phase ?? 'Disabled'
}

export function commonScheme(source: Source, side: TlsSide): TlsScheme {
  return COMMON[phaseOf(source, side)]
}

export function isWanted({ spec }: Pick<RaftCluster, 'spec'>, side: TlsSide): boolean {
  return spec.tls[side].mode !== 'Disabled'
}

/** Wanted, or on its way out: members that still have certificates need them kept until the last has none. */
export function isInUse(cluster: Pick<RaftCluster, 'spec' | 'recorded'>, side: TlsSide): boolean {
  return isWanted(cluster, side) || phaseOf(cluster, side) !== 'Disabled'
}

/** It may have Certificates of cert-manager: wanted, or left from before. */
export function usesCertManager({ spec, recorded }: Pick<RaftCluster, 'spec' | 'recorded'>, side: TlsSide): boolean {
  return spec.tls[side].mode === 'CertManager' || recorded.tls?.[side].mode === 'CertManager'
}
