/**
 * RaftCluster as the operator works with it: every default filled in, every field checked again. The API server has
 * checked it by the schema in crds/ (raft-cluster.test.ts keeps the two equal), but an object may be older than the
 * schema, and a decision about volumes is not the place to trust anybody.
 */
import { z } from 'zod'
import type { Result } from '../../lib/result.ts'
import { err, ok } from '../../lib/result.ts'
import { parseQuantity } from '../../lib/quantity.ts'
import { Bootstrap, Restore } from './bootstrap.ts'
import { DEFAULTS, defaultsOf, resolved } from './defaults.ts'
import { Autogrow, isPositiveQuantity, Maintenance } from './maintenance.ts'
import { Options, problemsOf } from './options.ts'
import { Auth } from './auth.ts'
import { Annotations, PodTemplate } from './pod-template.ts'
import type { RaftClusterStatus } from './status.ts'
import { parseStatus } from './status.ts'
import { Tls } from './tls.ts'

export const GROUP = 'raftkv.dev'
export const API_VERSION = `${GROUP}/v1alpha1`
export const KIND = 'RaftCluster'
/** Only there while volumes are to be deleted with the cluster, and one of them has no owner reference yet. */
export const FINALIZER = `${GROUP}/volumes`
export const MAX_REPLICAS = 9
/** Pods, Services and labels are named after the cluster with a suffix; 63 is the most they may have. */
export const MAX_NAME_LENGTH = 40

const quantity = z.union([z.string(), z.number()]).transform(String).refine(isPositiveQuantity, 'is not a quantity')
const seconds = (initial: number): z.ZodDefault<z.ZodNumber> => z.number().int().min(1).max(86_400).default(initial)
const quantities = z.record(z.string(), z.union([z.string(), z.number()]).transform(String))

const name = z.string().min(1).max(253)

const Image = z.object({
  repository: z.string().min(1).max(512).optional(),
  tag: z
    .string()
    .max(128)
    .regex(/^[A-Za-z0-9_][A-Za-z0-9._-]*$/)
    .optional(),
  pullPolicy: z.enum(['Always', 'IfNotPresent', 'Never']).default('IfNotPresent'),
  pullSecrets: z.array(z.object({ name })).max(8).default([]),
})

const Storage = z.object({
  size: quantity.default('10Gi'),
  autogrow: Autogrow.optional(),
  storageClassName: name.optional(),
  retention: z
    .object({
      whenDeleted: z.enum(['Retain', 'Delete']).default('Retain'),
      whenScaled: z.enum(['Retain', 'Delete']).default('Delete'),
    })
    .prefault({}),
})

const Service = z
  .object({
    type: z.enum(['ClusterIP', 'NodePort', 'LoadBalancer']).default('ClusterIP'),
    annotations: Annotations.optional(),
    loadBalancerClass: name.optional(),
    loadBalancerSourceRanges: z.array(z.string().max(64)).max(64).optional(),
  })
  .refine(
    ({ type, loadBalancerClass, loadBalancerSourceRanges }) =>
      type === 'LoadBalancer' || (loadBalancerClass === undefined && loadBalancerSourceRanges === undefined),
    { path: ['type'], message: 'must be LoadBalancer for loadBalancerClass and loadBalancerSourceRanges' },
  )

const Network = z
  .object({
    ipFamilyPolicy: z.enum(['SingleStack', 'PreferDualStack', 'RequireDualStack']).optional(),
    ipFamilies: z
      .array(z.enum(['IPv4', 'IPv6']))
      .min(1)
      .max(2)
      .refine((all) => new Set(all).size === all.length, 'has a family twice')
      .optional(),
  })
  .refine(
    ({ ipFamilyPolicy, ipFamilies = [] }) =>
      ipFamilies.length < 2 || (ipFamilyPolicy !== undefined && ipFamilyPolicy !== 'SingleStack'),
    { path: ['ipFamilyPolicy'], message: 'must be PreferDualStack or RequireDualStack for two families' },
  )

/** Those that every platform has limits for. */
const COMPARED = ['cpu', 'memory', 'ephemeral-storage'] as const

const Resources = z
  .object({ requests: quantities.optional(), limits: quantities.optional() })
  .superRefine(({ requests = {}, limits = {} }, context) => {
    for (const resource of COMPARED) {
      const [least, most] = [parseQuantity(requests[resource] ?? '0'), parseQuantity(limits[resource] ?? '')]
      if (least === undefined || most === undefined || least <= most) continue
      context.addIssue({ code: 'custom', path: ['requests', resource], message: 'must not be above the limit' })
    }
  })

const NetworkPeer = z
  .looseObject({
    ipBlock: z.unknown().optional(),
    podSelector: z.unknown().optional(),
    namespaceSelector: z.unknown().optional(),
  })
  .refine(
    ({ ipBlock, podSelector, namespaceSelector }) =>
      (ipBlock === undefined) !== (podSelector === undefined && namespaceSelector === undefined),
    { message: 'must have either ipBlock, or podSelector and namespaceSelector or one of these' },
  )

const NetworkPeers = z.array(NetworkPeer).min(1).max(32)

const NetworkPolicy = z.object({
  /** Left open, it is as recorded when the cluster was made (defaults.ts). */
  enabled: z.boolean().optional(),
  clientFrom: NetworkPeers.optional(),
  metricsFrom: NetworkPeers.optional(),
})

const Repair = z.object({
  enabled: z.boolean().default(true),
  unhealthyAfterSeconds: seconds(300),
  allowVolumeReplacement: z.boolean().default(false),
})

const Recovery = z.object({
  request: z
    .object({
      id: z.string().min(1).max(63),
      survivor: name.optional(),
      restore: Restore.optional(),
      acknowledgeDataLoss: z.literal(true),
    })
    .refine(
      ({ survivor, restore }) => (survivor === undefined) !== (restore === undefined),
      'must have either survivor or restore',
    )
    .optional(),
})

const Spec = z
  .object({
    replicas: z.number().int().min(0).max(MAX_REPLICAS).default(3),
    allowEvenReplicas: z.boolean().default(false),
    image: Image.prefault({}),
    clusterDomain: z
      .string()
      .regex(/^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$/)
      .max(253)
      .default('cluster.local'),
    storage: Storage.prefault({}),
    resources: Resources.prefault({}),
    podTemplate: PodTemplate.prefault({}),
    options: Options.prefault({}),
    service: Service.prefault({}),
    network: Network.prefault({}),
    networkPolicy: NetworkPolicy.prefault({}),
    tls: Tls.prefault({}),
    scaling: z
      .object({
        learnerTimeoutSeconds: seconds(600),
        maxLagEntries: z.number().int().min(0).max(1_000_000).default(100),
        leaderTransferTimeoutSeconds: seconds(10),
      })
      .prefault({}),
    update: z
      .object({
        strategy: z.enum(['LeaderLast', 'Manual']).default('LeaderLast'),
        minReadySeconds: z.number().int().min(0).max(3600).default(0),
      })
      .prefault({}),
    repair: Repair.prefault({}),
    maintenance: Maintenance.prefault({}),
    recovery: Recovery.prefault({}),
    pdb: z.object({ enabled: z.boolean().default(true) }).prefault({}),
    auth: Auth.optional(),
    paused: z.boolean().default(false),
    bootstrap: Bootstrap.optional(),
  })
  .refine((spec) => spec.allowEvenReplicas || spec.replicas === 0 || spec.replicas % 2 === 1, {
    path: ['replicas'],
    message: 'must be odd: an even number tolerates no more failures. Set allowEvenReplicas to use it nevertheless',
  })
  .refine(
    ({ storage: { size, autogrow } }) => (parseQuantity(autogrow?.to ?? size) ?? 0) >= (parseQuantity(size) ?? 0),
    {
      path: ['storage', 'autogrow', 'to'],
      message: 'must not be below storage.size',
    },
  )
  .superRefine(({ options }, context) => {
    for (const { field, message } of problemsOf(options))
      context.addIssue({ code: 'custom', path: ['options', field], message })
  })

export type RaftClusterSpec = ReturnType<typeof resolved<z.output<typeof Spec>>>

export const DEFAULT_SPEC: RaftClusterSpec = resolved(Spec.parse({}), DEFAULTS)

export interface RaftCluster {
  readonly name: string
  readonly namespace: string
  readonly uid: string
  readonly resourceVersion: string
  readonly generation: number
  readonly isBeingDeleted: boolean
  readonly finalizers: readonly string[]
  readonly requests: Requests
  /** Fields of spec that this operator does not know: the CRD is newer. */
  readonly unknownFields: readonly string[]
  readonly spec: RaftClusterSpec
  /** What was last written; every field is a memory, not a fact. */
  readonly recorded: RaftClusterStatus
}

/** What people ask for by annotations; undefined where they do not. */
export interface Requests {
  /** Part of the pod template: another value restarts every member. */
  readonly restartedAt: string | undefined
  /** The token of the admin API is another one for each value. */
  readonly rotateAdminToken: string | undefined
  /** Name of a member's pod, or its ID. */
  readonly replaceMember: string | undefined
  readonly moveLeader: string | undefined
  /** CAs of mode Auto are other ones for each value. */
  readonly rotateAuthorities: string | undefined
}

export const ANNOTATIONS = {
  restartedAt: `${GROUP}/restartedAt`,
  replaceMember: `${GROUP}/replace-member`,
  moveLeader: `${GROUP}/move-leader`,
  rotateAdminToken: `${GROUP}/rotate-admin-token`,
  rotateAuthorities: `${GROUP}/rotate-ca`,
} as const

const Meta = z.object({
  name: z
    .string()
    .max(MAX_NAME_LENGTH)
    .regex(/^[a-z]([-a-z0-9]*[a-z0-9])?$/, 'must start with a letter and have only a-z, 0-9 and -'),
  namespace: z.string().min(1),
  uid: z.string().min(1),
  resourceVersion: z.string().min(1),
  generation: z.number().int().default(0),
  deletionTimestamp: z.string().optional(),
  finalizers: z.array(z.string()).default([]),
  annotations: z.record(z.string(), z.string()).default({}),
})

const Resource = z.object({ metadata: Meta, spec: Spec.prefault({}), status: z.unknown().optional() })

/** The error names every field that is wrong and what it must be. */
export function parseRaftCluster(input: unknown): Result<RaftCluster, string> {
  const parsed = Resource.safeParse(input)
  if (!parsed.success) return err(describe(parsed.error))
  const { metadata, status } = parsed.data
  const recorded = parseStatus(status)
  const spec = resolved(parsed.data.spec, defaultsOf(recorded))
  const { auth, tls } = spec
  if (auth?.enabled === true && !auth.allowWithoutTLS && tls.client.mode === 'Disabled')
    return err('spec.auth.allowWithoutTLS: must be true where auth is enabled and clients of the members have no TLS')
  return ok({
    name: metadata.name,
    namespace: metadata.namespace,
    uid: metadata.uid,
    resourceVersion: metadata.resourceVersion,
    generation: metadata.generation,
    isBeingDeleted: metadata.deletionTimestamp !== undefined,
    finalizers: metadata.finalizers,
    requests: requestsOf(metadata.annotations),
    unknownFields: unknownFields(Object(input)['spec'], spec),
    spec,
    recorded,
  })
}

/** A value may be no longer than a name can be: it is kept in status. */
function requestsOf(annotations: Readonly<Record<string, string>>): Requests {
  const value = (key: string): string | undefined => annotations[key]?.slice(0, 253) || undefined
  return {
    restartedAt: value(ANNOTATIONS.restartedAt),
    replaceMember: value(ANNOTATIONS.replaceMember),
    moveLeader: value(ANNOTATIONS.moveLeader),
    rotateAdminToken: value(ANNOTATIONS.rotateAdminToken),
    rotateAuthorities: value(ANNOTATIONS.rotateAuthorities),
  }
}

/** Paths in what was given that are missing in what was read. */
function unknownFields(given: unknown, read: unknown, path = 'spec'): readonly string[] {
  if (!isObject(given)) return []
  return Object.entries(given).flatMap(([key, value]) => {
    const known: unknown = isObject(read) ? Reflect.get(read, key) : undefined
    if (known === undefined && value !== undefined) return [`${path}.${key}`]
    return Array.isArray(value) ? [] : unknownFields(value, known, `${path}.${key}`)
  })
}

function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null
}

function describe(error: z.ZodError): string {
  return error.issues
    .slice(0, 8)
    .map((issue) => `${issue.path.join('.')}: ${issue.message}`)
    .join('; ')
}
