/**
 * Who stands behind a Service: the pods that its selector chooses, with those of their ports that it names. Pods that are
 * not ready count as ready where the Service publishes them (`publishNotReadyAddresses`): a member that joins has to be
 * found before it can be ready. Pure.
 */
import { z } from 'zod'
import type { StoredObject } from './object.ts'
import { matches } from './selector.ts'

export const Service = z.object({
  spec: z.object({
    selector: z.record(z.string(), z.string()).default({}),
    publishNotReadyAddresses: z.boolean().default(false),
    ports: z
      .array(
        z.object({
          name: z.string().default(''),
          port: z.number(),
          targetPort: z.union([z.number(), z.string()]).optional(),
          protocol: z.string().default('TCP'),
        }),
      )
      .default([]),
  }),
})
export type Service = z.infer<typeof Service>

const Pod = z.object({
  spec: z.object({
    hostname: z.string().optional(),
    subdomain: z.string().optional(),
    nodeName: z.string().optional(),
    containers: z.array(
      z.object({ ports: z.array(z.object({ name: z.string().optional(), containerPort: z.number() })).default([]) }),
    ),
  }),
  status: z
    .object({
      phase: z.string().default('Pending'),
      podIP: z.string().optional(),
      conditions: z.array(z.object({ type: z.string(), status: z.string() })).default([]),
    })
    .prefault({}),
})

export interface Endpoint {
  readonly address: string
  readonly hostname: string | undefined
  readonly nodeName: string | undefined
  readonly pod: StoredObject
  readonly isReady: boolean
  readonly isTerminating: boolean
  /** Of the port names of the Service, where the pod has them. */
  readonly ports: readonly { readonly name: string; readonly port: number; readonly protocol: string }[]
}

export function endpointsOf(service: StoredObject, pods: readonly StoredObject[]): readonly Endpoint[] {
  const { spec } = Service.parse(service)
  // Its endpoints are somebody else's business.
  if (Object.keys(spec.selector).length === 0) return []
  const selector = { matchLabels: spec.selector, matchExpressions: [] }
  const chosen = pods.filter((pod) => matches(selector, pod.metadata.labels))
  return chosen
    .flatMap((object) => endpointOf(service.metadata.name, spec, object) ?? [])
    .toSorted((a, b) => (a.pod.metadata.name < b.pod.metadata.name ? -1 : 1))
}

function endpointOf(serviceName: string, spec: Service['spec'], object: StoredObject): Endpoint | undefined {
  const pod = Pod.parse(object)
  const { podIP, phase, conditions } = pod.status
  if (podIP === undefined || phase === 'Succeeded' || phase === 'Failed') return undefined
  const isTerminating = object.metadata.deletionTimestamp !== undefined
  const isServing = conditions.some(({ type, status }) => type === 'Ready' && status === 'True')
  const containerPorts = pod.spec.containers.flatMap(({ ports }) => ports)
  return {
    address: podIP,
    hostname: pod.spec.subdomain === serviceName ? pod.spec.hostname : undefined,
    nodeName: pod.spec.nodeName,
    pod: object,
    isReady: spec.publishNotReadyAddresses || (isServing && !isTerminating),
    isTerminating,
    ports: spec.ports.flatMap(({ name, port, targetPort = port, protocol }) => {
      const number =
        typeof targetPort === 'number'
          ? targetPort
          : containerPorts.find((candidate) => candidate.name === targetPort)?.containerPort
      return number === undefined ? [] : [{ name, port: number, protocol }]
    }),
  }
}
