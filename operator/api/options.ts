/** spec.options: what of the member's flags is left to the user. The API server has checked it by the schema in crds/. Pure. */
import { z } from 'zod'

/** Of a timer; Node's own end at 24 days. */
const WEEK_SECONDS = 604_800
const MAX_UINT32 = 4_294_967_295

const integer = (min: number, max: number = Number.MAX_SAFE_INTEGER): z.ZodOptional<z.ZodNumber> =>
  z.number().int().min(min).max(max).optional()
const seconds = (min: number): z.ZodOptional<z.ZodNumber> => integer(min, WEEK_SECONDS)
const milliseconds = integer(1, 3_600_000)
const names = z
  .array(
    z
      .string()
      .max(253)
      .regex(/^[^,\s]+$/),
  )
  .max(32)
  .optional()

const tlsVersion = z.enum(['TLS1.2', 'TLS1.3']).optional()

/** From 15 on, one check of a password keeps a core busy for seconds, which is as long as clients wait. */
const MAX_BCRYPT_COST = 14

export const Options = z.object({
  quotaBytes: integer(1),
  snapshotCount: integer(1),
  snapshotCatchupEntries: integer(0),
  electionTimeoutMs: z.number().int().min(50).max(50_000).default(1000),
  heartbeatMs: z.number().int().min(10).max(10_000).default(100),
  autoCompactionMode: z.enum(['periodic', 'revision']).optional(),
  autoCompactionRetention: z
    .string()
    .max(32)
    .regex(/^([0-9]+|([0-9]+(\.[0-9]+)?(ms|s|m|h))+)$/)
    .optional(),
  initialCorruptCheck: z.boolean().optional(),
  corruptCheckSeconds: seconds(0),
  compactHashCheckSeconds: seconds(1),
  maxTxnOps: integer(1, 1_000_000),
  maxRequestBytes: integer(1, 10_485_760),
  maxConcurrentStreams: integer(1, MAX_UINT32),
  grpcKeepaliveMinTimeSeconds: seconds(0),
  grpcKeepaliveIntervalSeconds: seconds(0),
  grpcKeepaliveTimeoutSeconds: seconds(0),
  enableGrpcGateway: z.boolean().optional(),
  clientMaxConnections: integer(1, 1_000_000),
  clientMaxStreams: integer(1, 10_000_000),
  clientMaxConnectionRequestBytes: integer(1),
  clientMaxRequestBytesHeld: integer(1),
  clientMaxConnectionResponseBytes: integer(1),
  clientMaxResponseBytesHeld: integer(1),
  clientMaxHeaderBytes: integer(1, 1_048_576),
  clientHandshakeTimeoutSeconds: seconds(1),
  clientHeaderTimeoutSeconds: seconds(0),
  clientRequestTimeoutSeconds: seconds(0),
  clientIdleTimeoutSeconds: seconds(0),
  cors: names,
  hostWhitelist: names,
  authTokenTTLSeconds: seconds(1),
  bcryptCost: integer(4, MAX_BCRYPT_COST),
  tlsMinVersion: tlsVersion,
  tlsMaxVersion: tlsVersion,
  cipherSuites: z
    .array(
      z
        .string()
        .max(64)
        .regex(/^TLS_[A-Z0-9_]+$/),
    )
    .min(1)
    .max(32)
    .optional(),
  watchProgressNotifySeconds: seconds(1),
  warningApplyMs: milliseconds,
  warningUnaryRequestMs: milliseconds,
  logLevel: z.enum(['debug', 'info', 'warn', 'error', 'fatal']).optional(),
  logFormat: z.enum(['json', 'console']).optional(),
})

export type Options = z.output<typeof Options>

/** Sentences about fields that do not go together. */
export function problemsOf(options: Options): readonly { readonly field: keyof Options; readonly message: string }[] {
  const { electionTimeoutMs, heartbeatMs, autoCompactionMode, autoCompactionRetention } = options
  const { tlsMinVersion, tlsMaxVersion, cipherSuites } = options
  const isRetentionMissing = autoCompactionMode !== undefined && autoCompactionRetention === undefined
  const isTime = autoCompactionRetention !== undefined && !/^[0-9]+$/.test(autoCompactionRetention)
  return [
    ...(electionTimeoutMs < 5 * heartbeatMs
      ? [{ field: 'electionTimeoutMs', message: 'must be at least 5 times heartbeatMs' } as const]
      : []),
    ...(isRetentionMissing
      ? [{ field: 'autoCompactionRetention', message: 'is needed with autoCompactionMode' } as const]
      : []),
    ...(autoCompactionMode === 'revision' && isTime
      ? [{ field: 'autoCompactionRetention', message: 'must be a number of revisions' } as const]
      : []),
    ...(tlsMinVersion === 'TLS1.3' && tlsMaxVersion === 'TLS1.2'
      ? [{ field: 'tlsMinVersion', message: 'must not be above tlsMaxVersion' } as const]
      : []),
    ...(tlsMinVersion === 'TLS1.3' && cipherSuites !== undefined
      ? [{ field: 'cipherSuites', message: 'cannot be chosen for TLS 1.3, the only version allowed' } as const]
      : []),
  ]
}
