/**
 * /metrics, /healthz and /readyz. Liveness is about this process alone: its event loop turns and its workers move. It says
 * nothing about the API server or about leading, since a restart would mend neither.
 *
 * As with controller-runtime: `?verbose` lists the checks, `?exclude=name` leaves one out, /healthz/name is one alone.
 */
import { createServer } from 'node:http'
import type { Server } from 'node:http'
import express from 'express'
import type { Express, Request, Response } from 'express'
import type { Registry } from 'prom-client'
import type { Address } from './config.ts'

/** Undefined when all is well, otherwise what is wrong. */
export type Check = () => string | undefined
export type Checks = Readonly<Record<string, Check>>

export function probesApp(live: Checks, ready: Checks): Express {
  const app = bareApp()
  for (const [path, checks] of [
    ['/healthz', live],
    ['/readyz', ready],
  ] as const) {
    app.get(path, (request, response) => answer(request, response, path.slice(1), checks))
    for (const [name, check] of Object.entries(checks)) {
      app.get(`${path}/${name}`, (request, response) => answer(request, response, `${path.slice(1)}/${name}`, { [name]: check })) // prettier-ignore
    }
  }
  return app
}

export function metricsApp(registry: Registry): Express {
  const app = bareApp()
  app.get('/metrics', async (_, response) => {
    response.type(registry.contentType).send(await registry.metrics())
  })
  return app
}

/** Rejects when the address cannot be used. */
export async function listen(app: Express, address: Address): Promise<Server> {
  const server = createServer({ requestTimeout: 10_000, headersTimeout: 5000 }, app)
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(address.port, address.host === '' ? undefined : address.host, resolve)
  })
  return server
}

export function closeServer(server: Server | undefined): void {
  server?.close()
  server?.closeAllConnections()
}

function bareApp(): Express {
  const app = express()
  app.disable('x-powered-by')
  app.disable('etag')
  return app
}

function answer(request: Request, response: Response, title: string, checks: Checks): void {
  const excluded = new Set([request.query['exclude']].flat())
  const lines: string[] = []
  let isWell = true
  for (const [name, check] of Object.entries(checks)) {
    if (excluded.has(name)) {
      lines.push(`[+]${name} excluded: ok`)
      continue
    }
    const problem = check()
    isWell &&= problem === undefined
    lines.push(problem === undefined ? `[+]${name} ok` : `[-]${name} failed: ${problem}`)
  }
  lines.push(`${title} check ${isWell ? 'passed' : 'failed'}`)
  const isVerbose = !isWell || request.query['verbose'] !== undefined
  response
    .status(isWell ? 200 : 503)
    .type('text/plain')
    .set('cache-control', 'no-store')
    .send(isVerbose ? `${lines.join('\n')}\n` : 'ok')
}
