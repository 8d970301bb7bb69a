/**
 * How far a CA is replaced, by what members report and Secrets hold, never from memory: trusted by all → certificates issued
 * anew → used by all → the old one leaves. Who stops between two steps goes on at the same one. Pure.
 */
import type { TlsInForce } from '../../../lib/admin-api.ts'
import type { TlsSideStatus } from '../../api/status.ts'
import type { TlsSide } from '../../api/tls.ts'
import { memberOrdinals, type Observed } from '../observed.ts'
import { names } from '../resources/names.ts'
import { desiredPods } from '../rules/replicas.ts'
import { isIssuedBy, type Pair } from './certificates.ts'
import { BACKDATED_MS, type LeafRequest, leavesOf, podFiles, TLS_FILES } from './leaves.ts'
import { leafIn, type Material } from './material.ts'
import { phaseOf } from './scheme.ts'

/** Time that applications have to read their Secret again after each step: they report nothing, and a kubelet takes about a minute. */
export const APPLICATIONS_FOLLOW_MS = 120_000

export interface Rotation {
  readonly step: TlsSideStatus['rotation']
  /** Undefined: none can be issued that everybody trusts, until all members trust the newest CA. */
  readonly signer: Pair | undefined
  /** Whom the step waits for. */
  readonly waitsFor: readonly string[]
}

/** What a member says of one side; undefined where it says nothing. */
export interface Report {
  readonly ordinal: number
  readonly name: string
  readonly tls: TlsInForce | undefined
}

/** Of all who are members, and of all that run: they may have connections. */
export function reportsOf(observed: Observed, side: TlsSide): readonly Report[] {
  const { cluster, pods } = observed
  const running = [...pods.values()].filter(({ isRunning }) => isRunning).map(({ ordinal }) => ordinal)
  const members = cluster.spec.replicas === 0 && pods.size === 0 ? [] : memberOrdinals(observed)
  return [...new Set([...members, ...running])].map((ordinal) => ({
    ordinal,
    name: names.pod(cluster, ordinal),
    tls: pods.get(ordinal)?.status?.tls?.[side],
  }))
}

/** For all that are to be members, and all that are. */
export function wantedLeaves(observed: Observed, side: TlsSide): readonly LeafRequest[] {
  const { cluster, pods } = observed
  const { start, end } = desiredPods(observed)
  const range = Array.from({ length: Math.max(end, cluster.spec.replicas) - start }, (_, index) => start + index)
  const ordinals = new Set([...range, ...memberOrdinals(observed), ...pods.keys()])
  return leavesOf(
    cluster,
    side,
    [...ordinals].toSorted((a, b) => a - b),
  )
}

export function rotationOf(observed: Observed, side: TlsSide, material: Material): Rotation {
  const { newest, previous, authorities } = material
  if (newest === undefined) return { step: 'None', signer: undefined, waitsFor: [] }
  if (authorities.length === 1) return { step: 'None', signer: newest, waitsFor: [] }
  // Before the first member has a certificate nobody hangs on one.
  const reports = phaseOf(observed.cluster, side) === 'Disabled' ? [] : reportsOf(observed, side)
  const { fingerprint } = newest.certificate
  // Who asks for no certificates trusts nobody's.
  const asks = side === 'peer' || observed.cluster.spec.tls.client.clientCertificates !== 'None'
  const distrusting = asks ? reports.filter(({ tls }) => tls?.trusted.includes(fingerprint) !== true) : []
  const untilTrusted = waiting(observed, side, distrusting, newest)
  if (untilTrusted.length > 0) return { step: 'Trusting', signer: previous, waitsFor: untilTrusted }
  const leaves = wantedLeaves(observed, side).map((request) => ({ request, pair: leafIn(observed, request) }))
  const missing = leaves.filter(({ pair }) => pair === undefined || !isIssuedBy(pair.certificate, newest.certificate))
  if (missing.length > 0)
    return { step: 'Reissuing', signer: newest, waitsFor: missing.map(({ request }) => request.files.certificate) }
  const behind = reports.filter(({ tls, ordinal }) => tls?.certificate !== inUse(observed, side, ordinal))
  const youngest = leaves
    .flatMap(({ pair }) => pair ?? [])
    .toSorted((a, b) => b.certificate.notBeforeMs - a.certificate.notBeforeMs)[0]
  const untilUsed = waiting(observed, side, behind, youngest)
  if (untilUsed.length > 0) return { step: 'Reissuing', signer: newest, waitsFor: untilUsed }
  return { step: 'Retiring', signer: newest, waitsFor: [] }
}

function waiting(
  { nowMs }: Observed,
  side: TlsSide,
  members: readonly Report[],
  since: Pair | undefined,
): readonly string[] {
  const madeMs = (since?.certificate.notBeforeMs ?? nowMs) + BACKDATED_MS
  const isYoung = side === 'client' && nowMs - madeMs < APPLICATIONS_FOLLOW_MS
  return [...members.map(({ name }) => name), ...(isYoung ? ['applications'] : [])]
}

/** Fingerprint of the certificate that the member is to show. */
export function inUse(observed: Observed, side: TlsSide, ordinal: number): string | undefined {
  const files = side === 'peer' ? podFiles(observed.cluster, ordinal) : TLS_FILES
  const secret = side === 'peer' ? 'peerTls' : 'serverTls'
  return leafIn(observed, { secret, files })?.certificate.fingerprint
}
