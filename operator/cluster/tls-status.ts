/** The TLS part of status, the condition TLSReady, and the expiry of certificates for the metric. Pure. */
import { type Finding, timestamp } from '../api/conditions.ts'
import type { RaftClusterStatus, TlsSideStatus } from '../api/status.ts'
import { SIDES, type TlsSide } from '../api/tls.ts'
import type { Observed } from './observed.ts'
import { names } from './resources/names.ts'
import { nextPhases, notYetIn, obstacleTo, type Phases, targetOf, untilSteady } from './rules/tls-phase.ts'
import type { Certificate } from './tls/certificates.ts'
import { materialOf } from './tls/material.ts'
import { inUse, reportsOf, rotationOf } from './tls/rotation.ts'
import { isInUse, phaseOf } from './tls/scheme.ts'
import { leafIn, wantedLeaves } from './tls/wanted.ts'

/** A certificate with less than this share of its life left should have been renewed long ago. */
const LATE = 1 / 6

export function tlsStatusOf(observed: Observed): Pick<RaftClusterStatus, 'tls'> {
  const { cluster } = observed
  const isAsked = SIDES.some((side) => isInUse(cluster, side))
  if (cluster.recorded.tls === undefined && !isAsked) return {}
  const phases = nextPhases(observed)
  return { tls: { peer: sideStatus(observed, 'peer', phases), client: sideStatus(observed, 'client', phases) } }
}

function sideStatus(observed: Observed, side: TlsSide, phases: Phases): TlsSideStatus {
  const phase = phases[side]
  if (!isInUse(observed.cluster, side)) return { phase, rotation: 'None', ...modeOf(observed, side) }
  const material = materialOf(observed, side)
  const first = firstToEnd(certificates(observed, side))
  const authority = firstToEnd(material.wanted)
  return {
    phase,
    rotation: rotationOf(observed, side, material).step,
    ...modeOf(observed, side),
    ...(first !== undefined && { notAfter: timestamp(first.notAfterMs) }),
    ...(authority !== undefined && { authorityNotAfter: timestamp(authority.notAfterMs) }),
  }
}

/** CertManager stays recorded until no Certificates are left. */
function modeOf({ cluster, objects }: Observed, side: TlsSide): Pick<TlsSideStatus, 'mode'> {
  const before = cluster.recorded.tls?.[side].mode
  const { mode } = cluster.spec.tls[side]
  const isLeft = before === 'CertManager' && (objects.certificates?.size ?? 0) > 0
  if (isLeft) return { mode: before }
  if (mode !== 'Disabled') return { mode }
  return before !== undefined && isInUse(cluster, side) ? { mode: before } : {}
}

function firstToEnd(all: readonly Certificate[]): Certificate | undefined {
  return all.toSorted((a, b) => a.notAfterMs - b.notAfterMs)[0]
}

function certificates(observed: Observed, side: TlsSide): readonly Certificate[] {
  return wantedLeaves(observed, side).flatMap((request) => leafIn(observed, request)?.certificate ?? [])
}

export function tlsReady(observed: Observed): Finding {
  const { cluster } = observed
  const sides = SIDES.filter((side) => isInUse(cluster, side))
  if (sides.length === 0) return found('False', 'Disabled', 'spec.tls is Disabled: connections are in plaintext')
  const trouble = sides.flatMap((side) => troubleOf(observed, side) ?? [])[0]
  if (trouble !== undefined) return found('False', trouble.reason, trouble.message)
  const turning = sides.filter((side) => phaseOf(cluster, side) !== targetOf(observed, side))
  if (turning.length > 0) {
    const waits = untilSteady(observed)
    const message = turning
      .map((side) => `${side} is ${phaseOf(cluster, side)} and becomes ${targetOf(observed, side)}`)
      .join(', ')
    return found('False', 'Changing', waits.length === 0 ? message : `${message}; waits for ${waits.join(', ')}`)
  }
  const early = sides.flatMap((side) => notYetIn(observed, side))
  if (early.length > 0) return found('False', 'Changing', `not up to date yet: ${[...new Set(early)].join(', ')}`)
  const rotating = sides.flatMap((side) => rotationMessage(observed, side) ?? [])
  if (rotating.length > 0) return found('True', 'RotatingCA', rotating.join('; '))
  return found('True', 'Ready', 'all connections of the sides with TLS are encrypted')
}

function troubleOf(observed: Observed, side: TlsSide): Pick<Finding, 'reason' | 'message'> | undefined {
  const { cluster, nowMs } = observed
  const problems = materialOf(observed, side).source?.problems ?? []
  if (problems.length > 0) return { reason: 'CertificatesUnusable', message: `${side}: ${problems.join('; ')}` }
  const obstacle = obstacleTo(observed, side)
  if (obstacle !== undefined) return { reason: 'Waiting', message: obstacle }
  const lost = wantedLeaves(observed, side).filter((request) => leafIn(observed, request) === undefined)
  if (lost.length > 0) {
    const list = lost.map(({ secret, files }) => `${files.certificate} in ${names.tls(cluster, secret)}`).join(', ')
    return { reason: 'CertificatesMissing', message: `missing: ${list}` }
  }
  const late = certificates(observed, side).find(
    ({ notBeforeMs, notAfterMs }) => notAfterMs - nowMs < (notAfterMs - notBeforeMs) * LATE,
  )
  if (late !== undefined) {
    const message = `a certificate of ${side} expires at ${timestamp(late.notAfterMs)} and has not been renewed`
    return { reason: 'CertificateExpiring', message }
  }
  if (phaseOf(cluster, side) === 'Disabled') return undefined
  const ending = reportsOf(observed, side).filter(({ tls }) => tls !== undefined && Date.parse(tls.notAfter) <= nowMs)
  if (ending.length === 0) return undefined
  const message = `members report an expired certificate: ${ending.map(({ name }) => name).join(', ')}`
  return { reason: 'CertificateExpired', message }
}

function rotationMessage(observed: Observed, side: TlsSide): string | undefined {
  const { step, waitsFor } = rotationOf(observed, side, materialOf(observed, side))
  if (step !== 'None') return `${side}: ${step}${waitsFor.length === 0 ? '' : `, waits for ${waitsFor.join(', ')}`}`
  const behind = reportsOf(observed, side).filter(
    ({ ordinal, tls }) => tls !== undefined && tls.certificate !== inUse(observed, side, ordinal),
  )
  return behind.length === 0
    ? undefined
    : `${side}: a renewed certificate has not reached ${behind.map(({ name }) => name).join(', ')} yet`
}

function found(status: Finding['status'], reason: string, message: string): Finding {
  return { type: 'TLSReady', status, reason, message }
}
