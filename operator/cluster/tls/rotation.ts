/**
 * How far a CA is replaced, by what members report and Secrets hold, never from memory: trusted by all → certificates issued
 * again → used by all → the old one leaves. Who stops between two steps goes on at the same one. A change of where certificates
 * come from is the same: other CAs, other certificates. Pure.
 */
import type { TlsInForce } from '../../../lib/admin-api.ts'
import type { TlsSideStatus } from '../../api/status.ts'
import type { TlsSide } from '../../api/tls.ts'
import { memberOrdinals, type Observed } from '../observed.ts'
import { CHANGED_AT_ANNOTATION, names } from '../resources/names.ts'
import { anchorOf, isAmong, isSame, type Pair } from './certificates.ts'
import { type LeafRequest, podFiles, TLS_FILES } from './leaves.ts'
import type { Material } from './material.ts'
import { phaseOf } from './scheme.ts'
import { bundleIn } from './secrets.ts'
import { idOf } from './source.ts'
import { leafIn, wantedLeaves } from './wanted.ts'

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

export function rotationOf(observed: Observed, side: TlsSide, material: Material): Rotation {
  const { newest, previous, source, wanted, authorities } = material
  // What is there stays while nothing is known that could take its place.
  if (wanted.length === 0) return { step: 'None', signer: previous, waitsFor: [] }
  const others = authorities.filter((one) => !isAmong(one, wanted))
  const foreign = wantedLeaves(observed, side).filter((request) => isForeign(observed, request, material))
  const signer = source === undefined ? newest : previous
  // A lone CA of the operator has nobody to wait for.
  if (others.length === 0 && (source === undefined || foreign.length === 0))
    return { step: 'None', signer, waitsFor: [] }
  // Before the first member has a certificate nobody hangs on one.
  const reports = phaseOf(observed.cluster, side) === 'Disabled' ? [] : reportsOf(observed, side)
  const following = side === 'client' ? applications(observed) : []
  const distrusting = reports.filter((report) => isDistrusting(observed, side, report, material))
  const untilTrusted = [
    ...notHandedOut(observed, side, material),
    ...distrusting.map(({ name }) => name),
    // Nobody hangs on a certificate that is missing.
    ...(foreign.some((request) => leafIn(observed, request) !== undefined) ? following : []),
  ]
  if (untilTrusted.length > 0) return { step: 'Trusting', signer: previous, waitsFor: untilTrusted }
  if (foreign.length > 0) return { step: 'Reissuing', signer, waitsFor: foreign.map(({ files }) => files.certificate) }
  const behind = reports.filter(({ tls, ordinal }) => tls?.certificate !== inUse(observed, side, ordinal))
  const untilUsed = [...behind.map(({ name }) => name), ...following]
  if (untilUsed.length > 0) return { step: 'Reissuing', signer, waitsFor: untilUsed }
  return { step: 'Retiring', signer, waitsFor: [] }
}

/** Its certificate is missing, or hangs on another CA than it is to in the end. */
export function isForeign(
  observed: Observed,
  request: LeafRequest,
  { source, wanted, authorities }: Material,
): boolean {
  const pair = leafIn(observed, request)
  const anchor = pair && anchorOf(pair, authorities)
  if (anchor === undefined || !isAmong(anchor, wanted)) return true
  const given = source?.pairs.get(idOf(request))
  const next = given && anchorOf(given, wanted)
  return next !== undefined && !isSame(anchor, next)
}

/**
 * Who asks for no certificates trusts nobody's. Whose certificate is lost reads none of its files: it can only be given the
 * next one, and the CAs with it.
 */
function isDistrusting(observed: Observed, side: TlsSide, { ordinal, tls }: Report, { wanted }: Material): boolean {
  const isAsking = side === 'peer' || observed.cluster.spec.tls.client.clientCertificates !== 'None'
  if (!isAsking || inUse(observed, side, ordinal) === undefined) return false
  return wanted.some(({ fingerprint }) => tls?.trusted.includes(fingerprint) !== true)
}

/** Secrets with certificates that do not have all CAs yet. */
function notHandedOut(observed: Observed, side: TlsSide, { wanted }: Material): readonly string[] {
  const { cluster, objects } = observed
  const used = new Set(
    wantedLeaves(observed, side)
      .filter((request) => leafIn(observed, request) !== undefined)
      .map(({ secret }) => secret),
  )
  const lacking = [...used].filter((secret) => !wanted.every((one) => isAmong(one, bundleIn(objects.tls.get(secret)))))
  return lacking.map((secret) => `Secret ${names.tls(cluster, secret)}`)
}

/** They follow what stands in their Secret. Where that was lost, so is since when it did. */
function applications({ objects, nowMs }: Observed): readonly string[] {
  const secret = objects.tls.get('clientTls')
  const changedAt = secret?.metadata.annotations?.[CHANGED_AT_ANNOTATION]
  const isYoung = nowMs - Date.parse(changedAt ?? '') < APPLICATIONS_FOLLOW_MS
  return isYoung || bundleIn(secret).length === 0 ? ['applications'] : []
}

/** Fingerprint of the certificate that the member is to show. */
export function inUse(observed: Observed, side: TlsSide, ordinal: number): string | undefined {
  const files = side === 'peer' ? podFiles(observed.cluster, ordinal) : TLS_FILES
  const secret = side === 'peer' ? 'peerTls' : 'serverTls'
  return leafIn(observed, { secret, files })?.certificate.fingerprint
}
