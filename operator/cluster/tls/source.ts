/**
 * Certificates that the operator does not make: those of a Secret that somebody brings, and of the Secrets that cert-manager
 * fills. Only what members can use counts; what is wrong with the rest is said. Pure.
 */
import { timestamp } from '../../api/conditions.ts'
import type { TlsSide } from '../../api/tls.ts'
import type { Observed } from '../observed.ts'
import type { KubeObject } from '../ports.ts'
import { certificateName, issuingTrouble } from '../resources/certificate.ts'
import { anchorOf, type Certificate, isMeantFor, isValidFor, type Pair, unique } from './certificates.ts'
import { BACKUP_FILES, CLIENT_FILES, type Files, type LeafRequest, SECRETS_OF, TLS_FILES } from './leaves.ts'
import { bundleIn, chainIn, keysOf, pairIn, textIn } from './secrets.ts'
import { leafIn, wantedLeaves } from './wanted.ts'

export interface Source {
  /** CAs behind the pairs. */
  readonly authorities: readonly Certificate[]
  /** By {@link idOf}. */
  readonly pairs: ReadonlyMap<string, Pair>
  /** What keeps others from being among them: a sentence for each thing that is wrong. */
  readonly problems: readonly string[]
}

interface Place {
  readonly name: string
  readonly secret: KubeObject
  readonly files: Files
}

type Found =
  | { readonly kind: 'usable'; readonly pair: Pair; readonly authorities: readonly Certificate[] }
  | { readonly kind: 'unusable'; readonly problems: readonly string[] }

export function idOf({ secret, files }: Pick<LeafRequest, 'secret' | 'files'>): string {
  return `${secret}/${files.certificate}`
}

/** Undefined where the operator issues certificates itself. */
export function sourceOf(observed: Observed, side: TlsSide): Source | undefined {
  const { mode, secretRef } = observed.cluster.spec.tls[side]
  const leaves = wantedLeaves(observed, side)
  switch (mode) {
    case 'Auto':
      return undefined
    case 'Disabled':
      return onItsWayOut(observed, side, leaves)
    case 'Secret':
      return gathered(leaves, (request) => inSecret(observed, request, secretRef?.name ?? ''))
    case 'CertManager':
      return gathered(leaves, (request) => inCertificate(observed, request))
    default:
      return mode satisfies never
  }
}

/** What others made stays in use until nobody needs it any more; what is lost of it is made by the operator. */
function onItsWayOut(observed: Observed, side: TlsSide, leaves: readonly LeafRequest[]): Source | undefined {
  const { recorded } = observed.cluster
  const isOthers = ['Secret', 'CertManager'].includes(recorded.tls?.[side].mode ?? 'Auto')
  if (!isOthers || !leaves.every((request) => leafIn(observed, request) !== undefined)) return undefined
  const authorities = bundleIn(observed.objects.tls.get(SECRETS_OF[side][0]))
  return { authorities, pairs: new Map(), problems: [] }
}

function gathered(leaves: readonly LeafRequest[], find: (request: LeafRequest) => Found): Source {
  const found = leaves.map((request) => ({ request, ...find(request) }))
  const usable = found.filter((one) => one.kind === 'usable')
  const problems = found.flatMap((one) => (one.kind === 'unusable' ? one.problems : []))
  return {
    authorities: unique(usable.flatMap(({ authorities }) => authorities)),
    pairs: new Map(usable.map(({ request, pair }) => [idOf(request), pair])),
    problems: [...new Set(problems)],
  }
}

function inSecret(observed: Observed, request: LeafRequest, name: string): Found {
  const secret = observed.objects.sources.get(name)
  if (secret === undefined) return { kind: 'unusable', problems: [`there is no Secret ${name}`] }
  const present = keysOf(secret)
  const files = [
    ...(request.secret === 'backupTls' ? [BACKUP_FILES] : []),
    ...(request.purposes.includes('serverAuth') ? [] : [CLIENT_FILES]),
  ].find(({ certificate }) => present.includes(certificate))
  return judged(observed, request, { name, secret, files: files ?? TLS_FILES })
}

const NO_CERT_MANAGER = 'the API server knows no Certificate of cert-manager.io/v1: install cert-manager'

function inCertificate(observed: Observed, request: LeafRequest): Found {
  const { certificates, sources } = observed.objects
  if (certificates === undefined) return { kind: 'unusable', problems: [NO_CERT_MANAGER] }
  const name = certificateName(observed.cluster, request)
  const certificate = certificates.get(name)
  const secret = sources.get(name)
  if (secret !== undefined && textIn(secret, TLS_FILES.certificate) !== '')
    return judged(observed, request, { name, secret, files: TLS_FILES })
  const words = certificate === undefined ? '' : issuingTrouble(certificate)
  return { kind: 'unusable', problems: [`Certificate ${name} is not issued yet${words === '' ? '' : `: ${words}`}`] }
}

function judged({ nowMs }: Observed, { hosts, purposes }: LeafRequest, { name, secret, files }: Place): Found {
  const authorities = bundleIn(secret)
  const about = `${files.certificate} in Secret ${name}`
  if (chainIn(secret, files.certificate).length === 0)
    return { kind: 'unusable', problems: [`${about} is no certificate`, ...withoutCa(name, authorities)] }
  const pair = pairIn(secret, files)
  if (pair === undefined) {
    const key = `${files.key} in Secret ${name} is not the key of ${files.certificate}`
    return { kind: 'unusable', problems: [key, ...withoutCa(name, authorities)] }
  }
  const { certificate } = pair
  const anchor = anchorOf(pair, authorities)
  const strange = hosts.filter((host) => !isValidFor(certificate, host))
  const unmeant = purposes.filter((purpose) => !isMeantFor(certificate, purpose))
  const problems = [
    ...withoutCa(name, authorities),
    ...(authorities.length > 0 && anchor === undefined ? [`${about} is not issued by a CA in its ca.crt`] : []),
    ...(strange.length > 0 ? [`${about} is not valid for ${strange.join(', ')}`] : []),
    ...(unmeant.length > 0 ? [`${about} is not meant for ${unmeant.join(', ')}`] : []),
    ...outsideOfItsTime(about, certificate, nowMs),
    ...(anchor === undefined ? [] : outsideOfItsTime(`the CA of ${about}`, anchor, nowMs)),
  ]
  return problems.length === 0 ? { kind: 'usable', pair, authorities } : { kind: 'unusable', problems }
}

function withoutCa(name: string, authorities: readonly Certificate[]): readonly string[] {
  return authorities.length === 0 ? [`ca.crt in Secret ${name} has no certificate of a CA`] : []
}

function outsideOfItsTime(about: string, { notBeforeMs, notAfterMs }: Certificate, nowMs: number): readonly string[] {
  if (nowMs >= notAfterMs) return [`${about} ended at ${timestamp(notAfterMs)}`]
  return nowMs < notBeforeMs ? [`${about} begins at ${timestamp(notBeforeMs)}`] : []
}
