/**
 * Which CAs and certificates are made now, and when a CA leaves: decided from what the Secrets hold, what members report
 * (tls/rotation.ts) and the clock. Made are they by an effect (tls/issue.ts), fenced by the version of the Secret that was
 * looked at. Pure.
 *
 * Invariants: a certificate is signed only by a CA that all members trust already; a CA leaves what is trusted only after
 * no certificate of it is in use; a pod is made only after its certificate.
 */
import { SIDES, type TlsSide, durationMs } from '../../api/tls.ts'
import { hasFields } from '../has-fields.ts'
import type { Observed } from '../observed.ts'
import type { Action } from '../plan.ts'
import { names, ownerReference, type TlsSecret } from '../resources/names.ts'
import type { PodRange } from '../resources/stateful-set.ts'
import { type Certificate, isFor, isIssuedBy, type Pair } from '../tls/certificates.ts'
import {
  AUTHORITY_OF,
  BUNDLE_FILE,
  type LeafRequest,
  leavesOf,
  PREVIOUS_FILES,
  SECRETS_OF,
  TLS_FILES,
} from '../tls/leaves.ts'
import { keysOf, leafIn, type Material, materialOf, textIn } from '../tls/material.ts'
import { type Rotation, rotationOf, wantedLeaves } from '../tls/rotation.ts'
import { isIssuedHere, isWanted, phaseOf } from '../tls/scheme.ts'
import { desiredPods } from './replicas.ts'

export function issueCertificates(observed: Observed): readonly Action[] {
  return SIDES.filter((side) => isIssuedHere(observed.cluster, side)).flatMap((side) => ofSide(observed, side))
}

function ofSide(observed: Observed, side: TlsSide): readonly Action[] {
  const { cluster, unread } = observed
  const secrets = [AUTHORITY_OF[side], ...SECRETS_OF[side]].map((secret) => names.tls(cluster, secret))
  // What is not seen is neither missing nor trusted by anybody.
  if (unread.some(({ kind, name }) => kind === 'Secret' && secrets.includes(name))) return []
  const material = materialOf(observed, side)
  const rotation = rotationOf(observed, side, material)
  const authority = authorityChange(observed, side, material, rotation)
  if (authority !== undefined) return [authority]
  return SECRETS_OF[side].flatMap((secret) => secretChange(observed, side, secret, material, rotation))
}

/** One is lost, or is to be another one, or has left: at most one thing at a time, and each only after the one before was seen. */
function authorityChange(
  observed: Observed,
  side: TlsSide,
  { newest, authorities, answered }: Material,
  { step }: Rotation,
): Action | undefined {
  const { cluster, objects, nowMs } = observed
  const secret = AUTHORITY_OF[side]
  const request = cluster.requests.rotateAuthorities ?? answered
  const trusted = authorities.map(({ pem }) => pem)
  if (newest === undefined) {
    return { kind: 'make-authority', secret, trusted, keepsPrevious: false, request }
  }
  if (step === 'None') {
    const isAsked = request !== answered
    const isOld = nowMs >= endOfTerm(newest.certificate, undefined)
    if (isAsked || isOld) return { kind: 'make-authority', secret, trusted, keepsPrevious: true, request }
  }
  const kept = [TLS_FILES.certificate, TLS_FILES.key]
  const is = objects.tls.get(secret)
  const newestPem = newest.certificate.pem
  if (step === 'Retiring')
    return { kind: 'write-certificates', secret, trusted: [newestPem], keep: kept, make: [], signer: undefined }
  if (textIn(is, BUNDLE_FILE) === trusted.join('') && isOwned(observed, secret)) return undefined
  const keep = [...kept, PREVIOUS_FILES.certificate, PREVIOUS_FILES.key].filter((key) => keysOf(is).includes(key))
  return { kind: 'write-certificates', secret, trusted, keep, make: [], signer: undefined }
}

function secretChange(
  observed: Observed,
  side: TlsSide,
  secret: TlsSecret,
  material: Material,
  { signer }: Rotation,
): readonly Action[] {
  const leaves = wantedLeaves(observed, side).filter((leaf) => leaf.secret === secret)
  const due = leaves.filter((leaf) => isDue(observed, side, leaf, material, signer))
  const make = signer === undefined ? [] : due
  const kept = leaves.filter((leaf) => !make.includes(leaf) && leafIn(observed, leaf) !== undefined)
  const keep = kept.flatMap(({ files }) => [files.certificate, files.key])
  const trusted = material.authorities.map(({ pem }) => pem)
  const is = observed.objects.tls.get(secret)
  const isAsItShouldBe =
    make.length === 0 &&
    textIn(is, BUNDLE_FILE) === trusted.join('') &&
    keysOf(is).length === keep.length + 1 &&
    isOwned(observed, secret)
  if (isAsItShouldBe) return []
  const by = signer === undefined ? undefined : signer === material.newest ? ('newest' as const) : ('previous' as const)
  return [{ kind: 'write-certificates', secret, trusted, keep, make, signer: by }]
}

/** One that a backup brought back has no owner, or an earlier one. */
function isOwned({ cluster, objects }: Observed, secret: TlsSecret): boolean {
  return hasFields(objects.tls.get(secret)?.metadata, { ownerReferences: [ownerReference(cluster)] })
}

function isDue(
  observed: Observed,
  side: TlsSide,
  request: LeafRequest,
  { authorities, newest }: Material,
  signer: Pair | undefined,
): boolean {
  const leaf = leafIn(observed, request)?.certificate
  if (leaf === undefined || !isFor(leaf, request.names)) return true
  if (observed.nowMs >= endOfTerm(leaf, durationMs(observed.cluster.spec.tls[side].renewBefore))) return true
  if (signer !== undefined && signer === newest) return !isIssuedBy(leaf, signer.certificate)
  return !authorities.some((authority) => isIssuedBy(leaf, authority))
}

/** When another one is due: after two thirds of its life, if nothing else is said. */
function endOfTerm({ notBeforeMs, notAfterMs }: Certificate, renewBeforeMs: number | undefined): number {
  return notAfterMs - (renewBeforeMs ?? (notAfterMs - notBeforeMs) / 3)
}

/** Everything is there that members of this side need to start. */
export function isComplete(observed: Observed, side: TlsSide): boolean {
  const { start, end } = desiredPods(observed)
  const ordinals = Array.from({ length: end - start }, (_, index) => start + index)
  const leaves = leavesOf(observed.cluster, side, ordinals)
  return materialOf(observed, side).trusted.length > 0 && leaves.every((leaf) => leafIn(observed, leaf) !== undefined)
}

/** As many as have certificates; none is taken away for the want of one. */
export function podsWithCertificates(observed: Observed): PodRange {
  const { cluster, objects } = observed
  const wanted = desiredPods(observed)
  if (phaseOf(cluster, 'peer') === 'Disabled') return wanted
  const isCertified = (ordinal: number): boolean =>
    leavesOf(cluster, 'peer', [ordinal]).every((leaf) => leafIn(observed, leaf) !== undefined)
  let end = Math.min(wanted.end, Math.max(wanted.start, objects.statefulSet?.endOrdinal ?? 0))
  while (end < wanted.end && isCertified(end)) end += 1
  return { start: wanted.start, end }
}

/** The first pods wait until it is recorded how they talk, and for their certificates. */
export function awaitsCertificates(observed: Observed): boolean {
  const { cluster, objects } = observed
  if (objects.statefulSet !== undefined) return false
  if (cluster.recorded.tls === undefined) return SIDES.some((side) => isWanted(cluster, side))
  return SIDES.some((side) => phaseOf(cluster, side) !== 'Disabled' && !isComplete(observed, side))
}
