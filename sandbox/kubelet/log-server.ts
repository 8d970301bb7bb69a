/**
 * What an API server asks a kubelet: `GET /containerLogs/<namespace>/<pod>/<container>`, with the options of
 * `kubectl logs`. Plain HTTP on the node's loopback address.
 */
import { createReadStream, statSync } from 'node:fs'
import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import { createInterface } from 'node:readline'
import { setTimeout as delay } from 'node:timers/promises'
import type { LogQuery } from './logs.ts'
import { formatLine, logPath, readLog } from './logs.ts'

export interface LogSource {
  readonly directory: string
  readonly run: number
  readonly isRunning: boolean
}

/** Undefined: no such container here. */
export type FindLogs = (namespace: string, pod: string, container: string) => LogSource | undefined

const FOLLOW_EVERY_MS = 100

export function serveLogs(server: Server, find: FindLogs): void {
  server.on('request', (request, response) => {
    serve(request, response, find).catch((error: unknown) => {
      if (!response.headersSent) response.statusCode = 500
      response.end(error instanceof Error ? error.message : String(error))
    })
  })
}

async function serve(request: IncomingMessage, response: ServerResponse, find: FindLogs): Promise<void> {
  const url = new URL(request.url ?? '/', 'http://kubelet')
  const parts = url.pathname
    .split('/')
    .filter((part) => part !== '')
    .map(decodeURIComponent)
  const [verb, namespace = '', pod = '', container = ''] = parts
  if (verb === 'healthz') return void response.end('ok')
  if (verb !== 'containerLogs' || parts.length !== 4) return refuse(response, 404, 'not found')
  const source = find(namespace, pod, container)
  if (source === undefined) return refuse(response, 404, `container ${container} of pod ${pod} is not on this node`)
  const isPrevious = url.searchParams.get('previous') === 'true'
  const run = isPrevious ? source.run - 1 : source.run
  if (run < 0) return refuse(response, 400, `previous terminated container "${container}" in pod "${pod}" not found`)
  const query = queryOf(url.searchParams)
  response.setHeader('content-type', 'text/plain')
  const path = logPath(source.directory, run)
  const fromBytes = sizeOf(path)
  response.write(readLog(source.directory, run, query))
  if (url.searchParams.get('follow') === 'true' && !isPrevious && query.limitBytes === undefined) {
    await follow(response, path, fromBytes, query, () => {
      const now = find(namespace, pod, container)
      return now !== undefined && now.run === run && now.isRunning
    })
  }
  response.end()
}

/** Until the run ends or the reader goes; a file that became shorter was rotated and begins again. */
async function follow(
  response: ServerResponse,
  path: string,
  fromBytes: number,
  query: LogQuery,
  isRunning: () => boolean,
): Promise<void> {
  let at = fromBytes
  response.flushHeaders()
  for (let isLast = false; !response.destroyed && !isLast;) {
    isLast = !isRunning()
    const sizeBytes = sizeOf(path)
    if (sizeBytes < at) at = 0
    if (sizeBytes > at) {
      const stream = createReadStream(path, { start: at, end: sizeBytes - 1 })
      for await (const line of createInterface({ input: stream })) response.write(formatLine(line, query.hasTimestamps))
      at = sizeBytes
    }
    if (!isLast) await delay(FOLLOW_EVERY_MS, undefined, { ref: false })
  }
}

function sizeOf(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.size ?? 0
}

function queryOf(params: URLSearchParams): LogQuery {
  const number = (name: string): number | undefined => {
    const value = params.get(name)
    return value === null || !/^\d+$/.test(value) ? undefined : Number(value)
  }
  const sinceSeconds = number('sinceSeconds')
  const sinceTime = params.get('sinceTime')
  return {
    tailLines: number('tailLines'),
    limitBytes: number('limitBytes'),
    sinceMs: sinceTime === null ? sinceSeconds && Date.now() - sinceSeconds * 1000 : Date.parse(sinceTime),
    hasTimestamps: params.get('timestamps') === 'true',
  }
}

function refuse(response: ServerResponse, status: number, message: string): void {
  response.statusCode = status
  response.end(message)
}
