/**
 * What the spec says about pods, as a number: pods with another one are made from an earlier spec and are renewed. It is
 * of the spec and not of the pod template, so that another operator, which may make other pods of the same spec, does not
 * restart every cluster by itself. A field that a later version adds is left out of it while it has its default, which
 * therefore never changes.
 */
import { DEFAULT_SPEC, type RaftCluster } from '../../api/raft-cluster.ts'
import type { TlsPhase } from '../../api/status.ts'
import { hashOf, isAlike } from './hash.ts'

/** A look at a cluster asks for each of its pods; what was read of the cluster is never changed in place. */
const known = new WeakMap<Source, string>()
type Source = Pick<RaftCluster, 'spec' | 'requests' | 'recorded'>
type Json = Readonly<Record<string, unknown>>

/** In every hash, set or not: the first release put them there. */
const ALWAYS = {
  image: { pullPolicy: 'IfNotPresent', pullSecrets: [] },
  resources: {},
  podTemplate: {},
  options: { electionTimeoutMs: 1000, heartbeatMs: 100 },
}

export function templateHash(source: Source): string {
  const hash = known.get(source) ?? hashOf(inputOf(source))
  known.set(source, hash)
  return hash
}

function inputOf({ spec, requests, recorded }: Source): Json {
  const set = (name: keyof typeof ALWAYS): Json => ({ ...ALWAYS[name], ...differing(spec[name], DEFAULT_SPEC[name]) })
  const { restartedAt } = requests
  return {
    image: set('image'),
    resources: set('resources'),
    podTemplate: set('podTemplate'),
    options: set('options'),
    restartedAt,
    tls: tlsOf(recorded.tls, spec),
  }
}

/** How members talk is recorded, step by step (rules/tls-phase.ts); the spec only says where that is to lead. */
function tlsOf(tls: RaftCluster['recorded']['tls'], { tls: { client } }: RaftCluster['spec']): Json | undefined {
  const peer = schemesOf(tls?.peer.phase)
  const schemes = { peer, client: schemesOf(tls?.client.phase) }
  if (schemes.peer === 'Disabled' && schemes.client === 'Disabled') return undefined
  return { ...schemes, ...(schemes.client !== 'Disabled' && { clientCertificates: client.clientCertificates }) }
}

/** Pods are alike on the way to TLS and on the way back. */
function schemesOf(phase: TlsPhase = 'Disabled'): string {
  return phase === 'Accepted' || phase === 'Preferred' ? 'Both' : phase
}

/** What is not as it would be by itself. */
function differing(fields: object, usual: object): Json {
  const some = Object.entries(fields).filter(([name, value]) => !isAlike(value, Reflect.get(usual, name)))
  return Object.fromEntries(some)
}
