/**
 * The cluster's DNS as a file of `<address> <name>` lines, which inside.ts reads: a headless Service's name and those of
 * its pods, and a Service with a cluster IP under the addresses of its ready pods, since nothing here translates cluster
 * IPs. Pure.
 */
import { endpointsOf } from '../client/endpoint.ts'
import type { StoredObject } from '../client/object.ts'

const DOMAIN = 'cluster.local'

/** `pods` of all namespaces. */
export function hostsOf(services: readonly StoredObject[], pods: readonly StoredObject[]): string {
  const lines = services.flatMap((service) => {
    const { name, namespace } = service.metadata
    const domain = `${name}.${namespace ?? 'default'}.svc.${DOMAIN}`
    const neighbours = pods.filter((pod) => pod.metadata.namespace === namespace)
    const ready = endpointsOf(service, neighbours).filter(({ isReady }) => isReady)
    return ready.flatMap(({ address, hostname }) => [
      `${address} ${domain}`,
      ...(hostname === undefined ? [] : [`${address} ${hostname}.${domain}`]),
    ])
  })
  return lines.toSorted().join('\n')
}
