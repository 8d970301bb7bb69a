/**
 * spec.podTemplate: what platforms set on pods. What is as in a pod is handed on unread, since the API server has checked it by
 * the types of Kubernetes itself (crds/kubernetes-types.ts), and looks at it again with the StatefulSet; only that it takes nothing
 * that is the operator's own is checked here too. Pure.
 */
import { z } from 'zod'
import {
  CONTAINER,
  FLAG_PREFIX,
  KEY_PREFIX,
  LABEL_KEYS,
  MOUNTS,
  PORT_NAMES,
  PORTS,
  VARIABLES,
  VOLUMES,
} from './owned.ts'

const opaque = z.record(z.string(), z.unknown())
const name = z.string().min(1).max(253)

const isOwn = (key: string): boolean => key.startsWith(KEY_PREFIX) || LABEL_KEYS.includes(key)

export const Annotations = z
  .record(z.string(), z.string().max(65_536))
  .refine((all) => Object.keys(all).length <= 64, 'has more than 64 entries')
  .refine((all) => !Object.keys(all).some((key) => key.startsWith(KEY_PREFIX)), `${KEY_PREFIX}… is the operator's own`)

const Labels = z
  .record(
    z.string(),
    z
      .string()
      .max(63)
      .regex(/^(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?$/),
  )
  .refine((all) => Object.keys(all).length <= 64, 'has more than 64 entries')
  .refine((all) => !Object.keys(all).some(isOwn), `${KEY_PREFIX}… and ${LABEL_KEYS.join(', ')} are the operator's own`)

const named = z.looseObject({ name: z.string() })

const Variable = named.refine(
  (variable) => !VARIABLES.includes(variable.name) && !variable.name.startsWith(FLAG_PREFIX),
  {
    path: ['name'],
    message: `${VARIABLES.join(' and ')} are the operator's own, and ${FLAG_PREFIX}… are flags, which spec.options sets`,
  },
)

const Variables = z
  .looseObject({ prefix: z.string().optional() })
  .refine(({ prefix = '' }) => !prefix.startsWith(FLAG_PREFIX), {
    path: ['prefix'],
    message: `${FLAG_PREFIX}… are flags, which spec.options sets`,
  })

const OWN_NUMBERS: readonly number[] = Object.values(PORTS)

const Port = z
  .looseObject({ containerPort: z.number(), name: z.string().optional() })
  .refine((port) => !OWN_NUMBERS.includes(port.containerPort) && !PORT_NAMES.includes(port.name ?? ''), {
    path: ['name'],
    message: `the ports ${PORT_NAMES.join(', ')} (${OWN_NUMBERS.join(', ')}) are the member's`,
  })

const Container = z
  .looseObject({ name: z.string(), ports: z.array(Port).optional() })
  .refine((container) => container.name !== CONTAINER, {
    path: ['name'],
    message: `'${CONTAINER}' is the member's container`,
  })

const OWN_VOLUMES: readonly string[] = Object.values(VOLUMES)

const Volume = named.refine((volume) => !OWN_VOLUMES.includes(volume.name), {
  path: ['name'],
  message: `${OWN_VOLUMES.join(', ')} are the operator's own`,
})

/** A mount in, at or above one of the member's would hide it, or be hidden. */
const Mount = z
  .looseObject({ name: z.string(), mountPath: z.string() })
  .refine(({ mountPath }) => !Object.values(MOUNTS).some((own) => overlaps(own, mountPath)), {
    path: ['mountPath'],
    message: `${Object.values(MOUNTS).join(', ')} are the member's`,
  })

function overlaps(one: string, other: string): boolean {
  const [a, b] = [one, other].map((path) => `/${path}/`.replaceAll(/\/+/g, '/'))
  return a !== undefined && b !== undefined && (a.startsWith(b) || b.startsWith(a))
}

export const PodTemplate = z.object({
  labels: Labels.optional(),
  annotations: Annotations.optional(),
  serviceAccountName: name.optional(),
  terminationGracePeriodSeconds: z.number().int().min(1).max(3600).optional(),
  priorityClassName: name.optional(),
  nodeSelector: z.record(z.string(), z.string().max(63)).optional(),
  tolerations: z.array(opaque).max(32).optional(),
  affinity: opaque.optional(),
  topologySpreadConstraints: z.array(opaque).max(8).optional(),
  securityContext: opaque.optional(),
  containerSecurityContext: opaque.optional(),
  envFrom: z.array(Variables).max(32).optional(),
  env: z.array(Variable).max(64).optional(),
  volumes: z.array(Volume).max(32).optional(),
  volumeMounts: z.array(Mount).max(32).optional(),
  initContainers: z.array(Container).max(8).optional(),
  extraContainers: z.array(Container).max(8).optional(),
})

export type PodTemplate = z.output<typeof PodTemplate>
