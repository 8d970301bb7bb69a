/** The sandbox's API server, in this process. */
import { startApiServer } from '../../sandbox/api-server/main.ts'
import type { Target } from './case.ts'
import { httpTarget } from './http-target.ts'

const TOKEN = 'conformance'

export async function startSandbox(): Promise<Target> {
  const server = await startApiServer({ listen: { host: '127.0.0.1', port: 0 }, adminToken: TOKEN })
  return httpTarget({ name: 'sandbox', url: server.url, token: TOKEN, close: () => server.close() })
}
