/** `backup follow` over HTTP: its status, for the operator and for Kubernetes' probes, and nothing else. */
import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import { encodeFollowStatus, FOLLOW_STATUS_PATH, type FollowStatus } from '../../lib/follow-status.ts'
import { BackupFailed } from '../backup/destination.ts'

/** The operator, two probes, and who looks by hand. */
const MAX_CONNECTIONS = 16
/** From the first byte of a request to its end. */
const REQUEST_TIMEOUT_MS = 5000

/** Rejects with {@link BackupFailed} where it cannot listen. */
export async function serveFollowStatus(port: number, status: () => FollowStatus): Promise<Server> {
  const server = createServer((request, response) => {
    if (request.method !== 'GET' || request.url !== FOLLOW_STATUS_PATH) {
      response.writeHead(404).end()
      return
    }
    response.writeHead(200, { 'content-type': 'application/json' }).end(encodeFollowStatus(status()))
  })
  server.maxConnections = MAX_CONNECTIONS
  server.requestTimeout = REQUEST_TIMEOUT_MS
  server.headersTimeout = REQUEST_TIMEOUT_MS
  try {
    await once(server.listen(port), 'listening')
  } catch (cause) {
    const words = cause instanceof Error ? cause.message : String(cause)
    throw new BackupFailed(`--status-port ${port}: ${words}`, { cause })
  }
  return server
}
