/** spec.tls: who may talk to members, and members among each other, and where their certificates come from. The API server has checked it by the schema in crds/. Pure. */
import { z } from 'zod'

const name = z.string().min(1).max(253)

const MS_OF_UNIT: Readonly<Record<string, number>> = { s: 1000, m: 60_000, h: 3_600_000 }
const DAY_MS = 24 * 3_600_000

/** Of a certificate of a member, of the operator or of applications. */
export const LEAF_LIFE_MS = 90 * DAY_MS
export const AUTHORITY_LIFE_MS = 10 * 365 * DAY_MS

export const TLS_MODES = ['Auto', 'CertManager', 'Secret', 'Disabled'] as const
export type TlsMode = (typeof TLS_MODES)[number]

const Side = z.object({
  /** Left open, it is as recorded when the cluster was made (defaults.ts). */
  mode: z.enum(TLS_MODES).optional(),
  issuerRef: z
    .object({ name, kind: z.string().min(1).max(63).default('Issuer'), group: name.default('cert-manager.io') })
    .optional(),
  secretRef: z.object({ name }).optional(),
  extraNames: z
    .array(
      z
        .string()
        .max(253)
        .regex(/^[A-Za-z0-9*.:-]+$/),
    )
    .max(32)
    .optional(),
  renewBefore: z
    .string()
    .max(32)
    .regex(/^([0-9]+(h|m|s))+$/)
    .optional(),
})

export type TlsSideSpec = z.output<typeof Side>

export const Tls = z
  .object({
    peer: Side.prefault({}),
    client: Side.extend({
      clientCertificates: z.enum(['Required', 'Optional', 'None']).default('Required'),
    }).prefault({}),
  })
  .superRefine((tls, context) => {
    for (const side of SIDES) {
      for (const { field, message } of problemsOf(tls[side]))
        context.addIssue({ code: 'custom', path: [side, field], message })
    }
  })

export type TlsSpec = z.output<typeof Tls>

/** Members among each other; and whoever else talks to them, by the client and the admin API. */
export const SIDES = ['peer', 'client'] as const
export type TlsSide = (typeof SIDES)[number]

interface Problem {
  readonly field: keyof TlsSideSpec
  readonly message: string
}

function problemsOf({ mode, issuerRef, secretRef, extraNames, renewBefore }: TlsSideSpec): readonly Problem[] {
  const isIssued = mode === undefined || mode === 'Auto' || mode === 'CertManager'
  const renewMs = durationMs(renewBefore)
  const problems: readonly (readonly [boolean, Problem])[] = [
    [
      (mode === 'CertManager') !== (issuerRef !== undefined),
      { field: 'issuerRef', message: 'belongs to mode CertManager, which needs it' },
    ],
    [
      (mode === 'Secret') !== (secretRef !== undefined),
      { field: 'secretRef', message: 'belongs to mode Secret, which needs it' },
    ],
    [
      !isIssued && extraNames !== undefined,
      { field: 'extraNames', message: 'are of certificates that are issued: mode Auto or CertManager' },
    ],
    [
      !isIssued && renewBefore !== undefined,
      { field: 'renewBefore', message: 'is of certificates that are issued: mode Auto or CertManager' },
    ],
    [
      renewMs !== undefined && (renewMs < 60_000 || renewMs >= LEAF_LIFE_MS),
      { field: 'renewBefore', message: 'must be from 1m to below the life of a certificate, 2160h' },
    ],
  ]
  return problems.flatMap(([isWrong, problem]) => (isWrong ? [problem] : []))
}

/** Undefined for undefined. */
export function durationMs(text: string | undefined): number | undefined {
  if (text === undefined) return undefined
  const parts = [...text.matchAll(/([0-9]+)(h|m|s)/g)]
  return parts.reduce((sum, [, count, unit]) => sum + Number(count) * (MS_OF_UNIT[unit ?? ''] ?? NaN), 0)
}
