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
  ]
}
