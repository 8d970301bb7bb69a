/** An API server, a faulty proxy in front of it, and a client on each side of the proxy. */
import type { TestContext } from 'node:test'
import { Agent } from 'undici'
import { systemClock } from '../../lib/system-clock.ts'
import { KubeClient, type MutationPermit } from '../../operator/kube/client.ts'
import type { Connection } from '../../operator/kube/connection.ts'
import { Transport } from '../../operator/kube/transport.ts'
import type { ApiServer } from '../../sandbox/api-server/main.ts'
import { startApiServer } from '../../sandbox/api-server/main.ts'
import { FaultyProxy } from './faulty-proxy.ts'

export const NAMESPACE = 'default'

export interface Plumbing {
  readonly server: ApiServer
  readonly proxy: FaultyProxy
  /** Sees every fault. */
  readonly faulty: KubeClient
  /** Sees none: the rest of the world. */
  readonly direct: KubeClient
  /** Another client through the proxy, with a guard of its own. */
  readonly guarded: (guard: () => MutationPermit) => KubeClient
}

export async function startPlumbing(t: TestContext): Promise<Plumbing> {
  const server = await startApiServer({ listen: { host: '127.0.0.1', port: 0 }, adminToken: 'test' })
  const proxy = new FaultyProxy(server.url)
  await proxy.start()
  const connections = [connectionTo(proxy.address), connectionTo(server.url)] as const
  const [faulty, direct] = connections.map((connection) => new Transport({ connection, clock: systemClock }))
  t.after(async () => {
    for (const connection of connections) await connection.close()
    await proxy.stop()
    await server.close()
  })
  if (faulty === undefined || direct === undefined) throw new Error('there are two connections')
  return {
    server,
    proxy,
    faulty: new KubeClient(faulty),
    direct: new KubeClient(direct),
    guarded: (guard) => new KubeClient(faulty, guard),
  }
}

function connectionTo(baseUrl: string): Connection {
  const dispatcher = new Agent({ allowH2: false })
  return {
    endpoint: async () => ({ baseUrl, headers: { authorization: 'Bearer test' }, dispatcher }),
    invalidate: () => undefined,
    close: async () => dispatcher.destroy(),
  }
}
