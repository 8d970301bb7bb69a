/**
 * What the client port answers to requests that are not gRPC: the JSON gateway, /version, /health, /livez, /readyz,
 * /metrics and /debug/vars, as etcd 3.7 does.
 *
 * Bare node:http rather than express: there is a dozen fixed paths, and bodies are read as they arrive, which a framework
 * would only stand in the way of. The admin app has its own port and its own contract.
 */
import { posix } from 'node:path'
import type { HttpHandler, HttpRequest, HttpResponse } from '../../../lib/http-exchange.ts'
import type { ServiceTable } from '../../grpc/service.ts'
import type { NodePort } from '../../node/ports.ts'
import { admit, type AccessOptions } from './access.ts'
import { sendMethodNotAllowed, sendText } from './answer.ts'
import type { Gateway, GatewayOptions } from './gateway.ts'
import { healthRoutes, type HealthOptions, type HealthRoute } from './health.ts'
import { sendMetrics, type MetricsPage } from './metrics-page.ts'
import { sendVars } from './vars.ts'
import { sendVersion } from './version.ts'

export interface ProbeOptions extends AccessOptions {
  readonly health: HealthOptions
  readonly metrics: MetricsPage
  readonly log: { error(fields: object, message: string): void }
}

export interface HttpOptions extends ProbeOptions, GatewayOptions {
  /** etcd's --enable-grpc-gateway. */
  readonly isGatewayEnabled: boolean
}

export function httpHandler(node: NodePort, services: ServiceTable, options: HttpOptions): HttpHandler {
  const routes = new Map<string, HealthRoute>([
    ...probeRoutes(node, options),
    ['/debug/vars', async (_query, request, response) => sendVars(node, request, response)],
  ])
  return answering(routes, options.isGatewayEnabled ? gatewayWhenAsked(services, options) : undefined, options)
}

/** Probes, metrics and the version, and nothing else: for addresses that nobody needs a certificate for. */
export function probeHandler(node: NodePort, options: ProbeOptions): HttpHandler {
  return answering(probeRoutes(node, options), undefined, options)
}

function probeRoutes(node: NodePort, { health, metrics }: ProbeOptions): ReadonlyMap<string, HealthRoute> {
  return new Map<string, HealthRoute>([
    ...healthRoutes(node, health),
    [
      '/version',
      async (_query, request, response) =>
        request.method === 'GET' ? sendVersion(response) : sendMethodNotAllowed(response, 'GET'),
    ],
    ['/metrics', (_query, _request, response) => sendMetrics(response, metrics)],
  ])
}

function answering(
  routes: ReadonlyMap<string, HealthRoute>,
  api: Gateway | undefined,
  options: ProbeOptions,
): HttpHandler {
  return (request, response) => {
    if (!admit(request, response, options)) return
    serve(request, response, routes, api).catch((error: unknown) => {
      options.log.error({ err: error, path: request.url }, 'an HTTP request failed')
      if (response.headersSent) response.destroy()
      else sendText(response, 500, 'Internal Server Error\n')
    })
  }
}

/** The descriptors of all messages are large: they are loaded for the first who asks, and most members are never asked. */
function gatewayWhenAsked(services: ServiceTable, options: GatewayOptions): Gateway {
  let loading: Promise<Gateway> | undefined
  return async (path, exchange) => {
    loading ??= import('./gateway.ts').then(({ gateway }) => gateway(services, options))
    return (await loading)(path, exchange)
  }
}

async function serve(
  request: HttpRequest,
  response: HttpResponse,
  routes: ReadonlyMap<string, HealthRoute>,
  api: Gateway | undefined,
): Promise<void> {
  const [given, query] = split(request.url ?? '/')
  const path = given.replace(/^\/v3beta\//, '/v3/')
  const clean = cleanPath(path, api !== undefined)
  if (clean !== path) return redirect(request, response, query === '' ? clean : `${clean}?${query}`)
  if (api !== undefined && path.startsWith('/v3/')) return api(path, { request, response })
  const route = routes.get(path)
  if (route === undefined) return sendText(response, 404, '404 page not found\n')
  return route(new URLSearchParams(query), request, response)
}

function split(url: string): [path: string, query: string] {
  const at = url.indexOf('?')
  return at < 0 ? [url, ''] : [url.slice(0, at), url.slice(at + 1)]
}

/** Go's router sends clients on to the path without double slashes and dots; some build their URLs so that they need it. */
function cleanPath(path: string, hasGateway: boolean): string {
  if (hasGateway && path === '/v3') return '/v3/'
  return path.startsWith('/') ? posix.normalize(path) : path
}

function redirect(request: HttpRequest, response: HttpResponse, location: string): void {
  response.statusCode = 307
  response.setHeader('Location', location)
  if (request.method !== 'GET') return void response.setHeader('Content-Length', 0).end()
  response.setHeader('Content-Type', 'text/html; charset=utf-8')
  response.end(`<a href="${escapeHtml(location)}">Temporary Redirect</a>.\n\n`)
}

function escapeHtml(text: string): string {
  return text
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&#34;')
    .replaceAll("'", '&#39;')
}
