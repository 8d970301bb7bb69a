/** An EndpointSlice and an Endpoints object for each Service that has a selector. */
import { isProblem } from '../../operator/kube/api-error.ts'
import type { Endpoint } from '../client/endpoint.ts'
import { Service, endpointsOf } from '../client/endpoint.ts'
import type { NewObject, StoredObject } from '../client/object.ts'
import { controlledBy, isEqual, keyOf, parseKey } from '../client/object.ts'
import { RESOURCES } from '../client/resource.ts'
import { matches } from '../client/selector.ts'
import type { Loop, Sandbox } from './loop.ts'
import { startLoop } from './loop.ts'

export function sliceOf(service: StoredObject, endpoints: readonly Endpoint[]): NewObject {
  const { name, namespace } = service.metadata
  return {
    apiVersion: 'discovery.k8s.io/v1',
    kind: 'EndpointSlice',
    metadata: {
      name: `${name}-sandbox`,
      ...(namespace !== undefined && { namespace }),
      labels: {
        'kubernetes.io/service-name': name,
        'endpointslice.kubernetes.io/managed-by': 'endpointslice-controller.k8s.io',
      },
      ownerReferences: controlledBy(service),
    },
    addressType: 'IPv4',
    ports: (endpoints[0]?.ports ?? []).map((port) => ({ ...port })),
    endpoints: endpoints.map(({ address, hostname, nodeName, pod, isReady, isTerminating }) => ({
      addresses: [address],
      conditions: { ready: isReady, serving: isReady || isTerminating, terminating: isTerminating },
      ...(hostname !== undefined && { hostname }),
      ...(nodeName !== undefined && { nodeName }),
      targetRef: targetRef(pod),
    })),
  }
}

export function endpointsObjectOf(service: StoredObject, endpoints: readonly Endpoint[]): NewObject {
  const { name, namespace } = service.metadata
  const addresses = (isReady: boolean) =>
    endpoints
      .filter((endpoint) => endpoint.isReady === isReady)
      .map(({ address, hostname, nodeName, pod }) => ({
        ip: address,
        ...(hostname !== undefined && { hostname }),
        ...(nodeName !== undefined && { nodeName }),
        targetRef: targetRef(pod),
      }))
  const [ready, notReady] = [addresses(true), addresses(false)]
  const subset = {
    ...(ready.length > 0 && { addresses: ready }),
    ...(notReady.length > 0 && { notReadyAddresses: notReady }),
    ports: (endpoints[0]?.ports ?? []).map((port) => ({ ...port })),
  }
  return {
    apiVersion: 'v1',
    kind: 'Endpoints',
    metadata: { name, ...(namespace !== undefined && { namespace }), ownerReferences: controlledBy(service) },
    subsets: endpoints.length === 0 ? [] : [subset],
  }
}

function targetRef({ metadata }: StoredObject): Readonly<Record<string, unknown>> {
  return { kind: 'Pod', namespace: metadata.namespace, name: metadata.name, uid: metadata.uid }
}

export async function startEndpoints(sandbox: Sandbox): Promise<Loop> {
  const { mirrors } = sandbox
  const services = mirrors.of(RESOURCES.services)
  const pods = mirrors.of(RESOURCES.pods)
  const slices = mirrors.of(RESOURCES.endpointSlices)
  const endpoints = mirrors.of(RESOURCES.endpoints)
  await Promise.all([services, pods, slices, endpoints].map(async ({ synced }) => synced))
  const loop = startLoop(sandbox, {
    name: 'endpoints',
    reconcile: async (key) => reconcile(sandbox, key),
    keys: () => [...services.values()].map(keyOf),
  })
  services.onChange((service, isGone) => isGone || loop.enqueue(keyOf(service)))
  pods.onChange((pod) => {
    for (const service of services.inNamespace(pod.metadata.namespace)) {
      const { selector } = Service.parse(service).spec
      if (matches({ matchLabels: selector, matchExpressions: [] }, pod.metadata.labels)) loop.enqueue(keyOf(service))
    }
  })
  return loop
}

async function reconcile(sandbox: Sandbox, key: string): Promise<undefined> {
  try {
    await publish(sandbox, key)
  } catch (error) {
    // A real API server takes no loopback addresses; names do not depend on it (kubelet/names.ts).
    if (!isProblem(error, 'Invalid')) throw error
    sandbox.logger.debug({ key, error }, 'endpoints were refused')
  }
  return undefined
}

async function publish({ client, mirrors }: Sandbox, key: string): Promise<void> {
  const service = mirrors.of(RESOURCES.services).get(key)
  if (service === undefined || service.metadata.deletionTimestamp !== undefined) return
  if (Object.keys(Service.parse(service).spec.selector).length === 0) return
  const { namespace } = parseKey(key)
  const found = endpointsOf(service, mirrors.of(RESOURCES.pods).inNamespace(namespace))
  const wanted = [
    [RESOURCES.endpointSlices, sliceOf(service, found), ['endpoints', 'ports']],
    [RESOURCES.endpoints, endpointsObjectOf(service, found), ['subsets']],
  ] as const
  for (const [resource, object, fields] of wanted) {
    const known = mirrors.of(resource).get(`${namespace ?? ''}/${object.metadata.name ?? ''}`)
    if (known !== undefined && fields.every((field) => isEqual(known[field], object[field]))) continue
    if (known === undefined && (await client.createIfMissing(resource, object))) continue
    const ref = { namespace, name: object.metadata.name ?? '' }
    await client.patch(resource, ref, Object.fromEntries(fields.map((field) => [field, object[field]])))
  }
}
