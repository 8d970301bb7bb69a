/** What the kubelet reads of a Pod; defaults are the API's. */
import { z } from 'zod'
import type { StoredObject } from '../client/object.ts'

const text = z.string()
const port = z.union([z.number(), text])
const keyRef = z.object({ name: text.default(''), key: text, optional: z.boolean().default(false) })
const nameRef = z.object({ name: text.default(''), optional: z.boolean().default(false) })
const fieldRef = z.object({ fieldPath: text })

const Env = z.object({
  name: text,
  value: text.optional(),
  valueFrom: z
    .object({
      fieldRef: fieldRef.optional(),
      resourceFieldRef: z.object({ resource: text }).optional(),
      secretKeyRef: keyRef.optional(),
      configMapKeyRef: keyRef.optional(),
    })
    .optional(),
})

const EnvFrom = z.object({
  prefix: text.default(''),
  secretRef: nameRef.optional(),
  configMapRef: nameRef.optional(),
})

const Probe = z.object({
  httpGet: z
    .object({
      path: text.default('/'),
      port,
      host: text.optional(),
      scheme: text.default('HTTP'),
      httpHeaders: z.array(z.object({ name: text, value: text })).default([]),
    })
    .optional(),
  tcpSocket: z.object({ port, host: text.optional() }).optional(),
  exec: z.object({ command: z.array(text).default([]) }).optional(),
  grpc: z.object({ port: z.number(), service: text.nullish() }).optional(),
  initialDelaySeconds: z.number().default(0),
  periodSeconds: z.number().default(10),
  timeoutSeconds: z.number().default(1),
  successThreshold: z.number().default(1),
  failureThreshold: z.number().default(3),
})
export type Probe = z.infer<typeof Probe>

const Container = z.object({
  name: text,
  image: text.default(''),
  command: z.array(text).default([]),
  args: z.array(text).default([]),
  workingDir: text.optional(),
  env: z.array(Env).default([]),
  envFrom: z.array(EnvFrom).default([]),
  ports: z.array(z.object({ name: text.optional(), containerPort: z.number() })).default([]),
  volumeMounts: z
    .array(z.object({ name: text, mountPath: text, subPath: text.default(''), readOnly: z.boolean().default(false) }))
    .default([]),
  startupProbe: Probe.optional(),
  livenessProbe: Probe.optional(),
  readinessProbe: Probe.optional(),
})
export type Container = z.infer<typeof Container>

const items = z.array(z.object({ key: text, path: text, mode: z.number().optional() })).optional()
const downward = z.array(z.object({ path: text, fieldRef: fieldRef.optional() })).default([])

const Source = z.object({
  secret: z.object({ name: text.default(''), items, optional: z.boolean().default(false) }).optional(),
  configMap: z.object({ name: text.default(''), items, optional: z.boolean().default(false) }).optional(),
  downwardAPI: z.object({ items: downward }).optional(),
  serviceAccountToken: z
    .object({ path: text, audience: text.optional(), expirationSeconds: z.number().default(3600) })
    .optional(),
})
export type VolumeSource = z.infer<typeof Source>

const Volume = z.object({
  name: text,
  persistentVolumeClaim: z.object({ claimName: text }).optional(),
  emptyDir: z.object({}).nullish(),
  hostPath: z.object({ path: text }).optional(),
  secret: z.object({ secretName: text.default(''), items, optional: z.boolean().default(false) }).optional(),
  configMap: z.object({ name: text.default(''), items, optional: z.boolean().default(false) }).optional(),
  downwardAPI: z.object({ items: downward }).optional(),
  projected: z.object({ sources: z.array(Source).default([]) }).optional(),
})
export type Volume = z.infer<typeof Volume>

const RestartPolicy = z.enum(['Always', 'OnFailure', 'Never'])
export type RestartPolicy = z.infer<typeof RestartPolicy>

const Spec = z.object({
  nodeName: text.default(''),
  hostname: text.optional(),
  subdomain: text.optional(),
  serviceAccountName: text.default('default'),
  restartPolicy: RestartPolicy.default('Always'),
  terminationGracePeriodSeconds: z.number().default(30),
  initContainers: z.array(Container).default([]),
  containers: z.array(Container),
  volumes: z.array(Volume).default([]),
})

const Terminated = z.looseObject({ exitCode: z.number().default(0), finishedAt: text.optional() })
const ContainerStatus = z.object({
  name: text,
  restartCount: z.number().default(0),
  state: z
    .object({ terminated: Terminated.optional(), running: z.looseObject({ startedAt: text.optional() }).optional() })
    .prefault({}),
})

const Status = z.object({
  phase: text.default('Pending'),
  podIP: text.optional(),
  startTime: text.optional(),
  conditions: z.array(z.looseObject({ type: text, status: text, lastTransitionTime: text.nullish() })).default([]),
  containerStatuses: z.array(ContainerStatus).default([]),
  initContainerStatuses: z.array(ContainerStatus).default([]),
})

export interface Pod {
  readonly object: StoredObject
  readonly namespace: string
  readonly name: string
  readonly uid: string
  readonly spec: z.infer<typeof Spec>
  readonly status: z.infer<typeof Status>
}

/** Throws on a pod that the API server should not have stored. */
export function podOf(object: StoredObject): Pod {
  const { namespace = 'default', name, uid } = object.metadata
  return {
    object,
    namespace,
    name,
    uid,
    spec: Spec.parse(object['spec']),
    status: Status.parse(object['status'] ?? {}),
  }
}
