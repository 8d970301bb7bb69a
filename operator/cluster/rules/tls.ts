/**
 * Which CAs and certificates are made now, or copied from elsewhere (tls/source.ts), and when a CA is removed: decided from what the
 * Secrets hold, what members report (tls/rotation.ts) and the clock. An action (tls/write.ts) makes and writes them, fenced by
 * the version of the Secret that was read. Pure.
 *
 * Invariants: a certificate is signed only by a CA that all members trust already; a CA is no longer trusted only after
 * no certificate of it is in use; the pod of a new member is created only after its certificate.
 */
import { SIDES, type TlsSide, durationMs } from '../../api/tls.ts'
import { hasFields } from '../has-fields.ts'
import { isFormed, memberOrdinals, type Observed } from '../observed.ts'
import type { Action } from '../plan.ts'
import { ownerReference, type TlsSecret } from '../resources/names.ts'
import type { PodRange } from '../resources/stateful-set.ts'
import { anchorOf, type Certificate, isFor, isIssuedBy, type Pair, pemOf } from '../tls/certificates.ts'
import {
  AUTHORITY_OF,
  BUNDLE_FILE,
  type LeafRequest,
  leavesOf,
  PREVIOUS_FILES,
  SECRETS_OF,
  TLS_FILES,
} from '../tls/leaves.ts'
import { type Material, materialOf } from '../tls/material.ts'
import { isForeign, type Rotation, rotationOf } from '../tls/rotation.ts'
import { isInUse, isWanted, phaseOf } from '../tls/scheme.ts'
import { bundleIn, keysOf, textIn } from '../tls/secrets.ts'
import { idOf } from '../tls/source.ts'
import { leafIn, wantedLeaves } from '../tls/wanted.ts'
import { desiredPods } from './replicas.ts'

export function issueCertificates(observed: Observed): readonly Action[] {
  // A Secret that could not be read is neither missing nor known to be trusted.
  if (observed.unread.some(({ kind }) => kind === 'Secret')) return []
  return SIDES.filter((side) => isInUse(observed.cluster, side)).flatMap((side) => ofSide(observed, side))
}

function ofSide(observed: Observed, side: TlsSide): readonly Action[] {
  const material = materialOf(observed, side)
  const rotation = rotationOf(observed, side, material)
  const authority = material.source === undefined ? authorityChange(observed, side, material, rotation) : undefined
  if (authority !== undefined) return [authority]
  if (material.authorities.length === 0) return []
  return SECRETS_OF[side].flatMap((secret) => secretChange(observed, side, secret, material, rotation))
}

/** A CA is lost, is to be replaced, or can be removed: at most one step at a time, each after the result of the one before was read. */
function authorityChange(
  observed: Observed,
  side: TlsSide,
  { newest, wanted, authorities, answered }: Material,
  { step }: Rotation,
): Action | undefined {
  const { cluster, objects, nowMs } = observed
  const secret = AUTHORITY_OF[side]
  const request = cluster.requests.rotateAuthorities ?? answered
  const known = authorities.map(({ pem }) => pem)
  if (newest === undefined) {
    return { kind: 'make-authority', secret, trusted: known, keepsPrevious: false, request }
  }
  if (step === 'None') {
    const isAsked = request !== answered
    const isOld = nowMs >= endOfTerm(newest.certificate, undefined)
    if (isAsked || isOld) return { kind: 'make-authority', secret, trusted: known, keepsPrevious: true, request }
  }
  const files = [TLS_FILES, ...(step === 'Retiring' ? [] : [PREVIOUS_FILES])]
  const is = objects.tls.get(secret)
  const keep = files.flatMap(({ certificate, key }) => [certificate, key]).filter((key) => keysOf(is).includes(key))
  const trusted = step === 'Retiring' ? wanted : authorities
  const isAsItShouldBe =
    textIn(is, BUNDLE_FILE) === pemOf(trusted) && keysOf(is).length === keep.length + 1 && isOwned(observed, secret)
  if (isAsItShouldBe) return undefined
  return { ...UNCHANGED, secret, trusted: trusted.map(({ pem }) => pem), keep }
}

const UNCHANGED = { kind: 'write-certificates', make: [], take: [], signer: undefined } as const

function secretChange(
  observed: Observed,
  side: TlsSide,
  secret: TlsSecret,
  material: Material,
  { step, signer: trusted }: Rotation,
): readonly Action[] {
  const leaves = wantedLeaves(observed, side).filter((leaf) => leaf.secret === secret)
  const isUrgent = trusted === undefined && leaves.some((leaf) => isDeaf(observed, leaf))
  const signer = isUrgent ? material.newest : trusted
  const take = leaves.filter((leaf) => isTaken(observed, leaf, material, isUrgent ? 'None' : step))
  const make = leaves.filter(
    (leaf) => signer !== undefined && !take.includes(leaf) && isDue(observed, side, leaf, material, signer),
  )
  const kept = leaves.filter(
    (leaf) => !take.includes(leaf) && !make.includes(leaf) && leafIn(observed, leaf) !== undefined,
  )
  const keep = kept.flatMap(({ files }) => [files.certificate, files.key])
  const bundle = step === 'Retiring' ? material.wanted : material.authorities
  const is = observed.objects.tls.get(secret)
  const isAsItShouldBe =
    make.length === 0 &&
    take.length === 0 &&
    textIn(is, BUNDLE_FILE) === pemOf(bundle) &&
    keysOf(is).length === keep.length + 1 &&
    isOwned(observed, secret)
  if (isAsItShouldBe) return []
  const by = make.length === 0 ? undefined : signer === material.newest ? 'newest' : 'previous'
  return [{ kind: 'write-certificates', secret, trusted: bundle.map(({ pem }) => pem), keep, make, take, signer: by }]
}

/** A Secret that was restored from a backup has no owner, or an earlier one. */
function isOwned({ cluster, objects }: Observed, secret: TlsSecret): boolean {
  return hasFields(objects.tls.get(secret)?.metadata, { ownerReferences: [ownerReference(cluster)] })
}

/**
 * Without a certificate of its own the operator cannot reach any member, so it would never know which CAs they trust. One that members
 * will trust later is better than none.
 */
function isDeaf(observed: Observed, request: LeafRequest): boolean {
  const notAfterMs = leafIn(observed, request)?.certificate.notAfterMs ?? 0
  return request.secret === 'operatorTls' && notAfterMs <= observed.nowMs
}

/** A new certificate of the CA in use is trusted already; one of another CA waits until all members trust that. */
function isTaken(observed: Observed, request: LeafRequest, material: Material, step: Rotation['step']): boolean {
  const given = material.source?.pairs.get(idOf(request))
  if (given === undefined) return false
  const present = leafIn(observed, request)
  const isThere = present !== undefined && present.key === given.key && pemOf(present.chain) === pemOf(given.chain)
  return !isThere && (step !== 'Trusting' || !isForeign(observed, request, material))
}

function isDue(
  observed: Observed,
  side: TlsSide,
  request: LeafRequest,
  { authorities, newest, source }: Material,
  signer: Pair,
): boolean {
  const pair = leafIn(observed, request)
  if (pair === undefined) return true
  const { certificate } = pair
  // A certificate from elsewhere is used as soon as possible.
  if (source !== undefined)
    return !source.pairs.has(idOf(request)) && observed.nowMs >= endOfTerm(certificate, undefined)
  if (!isFor(certificate, request.names)) return true
  if (observed.nowMs >= endOfTerm(certificate, durationMs(observed.cluster.spec.tls[side].renewBefore))) return true
  if (signer === newest) return !isIssuedBy(certificate, signer.certificate)
  return anchorOf(pair, authorities) === undefined
}

/** Time of renewal: after two thirds of its life by default. */
function endOfTerm({ notBeforeMs, notAfterMs }: Certificate, renewBeforeMs: number | undefined): number {
  return notAfterMs - (renewBeforeMs ?? (notAfterMs - notBeforeMs) / 3)
}

/** All certificates that members need to start exist, for this side. */
export function isComplete(observed: Observed, side: TlsSide): boolean {
  const { start, end } = desiredPods(observed)
  const ordinals = Array.from({ length: end - start }, (_, index) => start + index)
  const trusted = bundleIn(observed.objects.tls.get(SECRETS_OF[side][0]))
  const leaves = leavesOf(observed.cluster, side, ordinals)
  return trusted.length > 0 && leaves.every((leaf) => leafIn(observed, leaf) !== undefined)
}

/** As many as have certificates; none is taken away, and no member with one waits for another, for the want of one. */
export function podsWithCertificates(observed: Observed): PodRange {
  const { cluster, objects } = observed
  const wanted = desiredPods(observed)
  if (phaseOf(cluster, 'peer') === 'Disabled') return wanted
  const isCertified = (ordinal: number): boolean =>
    leavesOf(cluster, 'peer', [ordinal]).every((leaf) => leafIn(observed, leaf) !== undefined)
  const members = [...memberOrdinals(observed)].filter(isCertified).map((ordinal) => ordinal + 1)
  let end = Math.min(wanted.end, Math.max(wanted.start, objects.statefulSet?.endOrdinal ?? 0, ...members))
  while (end < wanted.end && isCertified(end)) end += 1
  return { start: wanted.start, end }
}

/**
 * The first pods wait until their phase is recorded, and for their certificates. Members that lost their StatefulSet do
 * not: others may get certificates only once these run and trust the other CA.
 */
export function awaitsCertificates(observed: Observed): boolean {
  const { cluster, objects } = observed
  if (objects.statefulSet !== undefined || isFormed(observed)) return false
  if (cluster.recorded.tls === undefined) return SIDES.some((side) => isWanted(cluster, side))
  return SIDES.some((side) => phaseOf(cluster, side) !== 'Disabled' && !isComplete(observed, side))
}
