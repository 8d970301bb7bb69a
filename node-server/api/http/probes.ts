/**
 * What the metrics port answers while there is no member to ask: before it is told to which cluster it belongs, while it
 * starts again, after its removal. Otherwise the probes are those of `health`.
 */
import type { HttpHandler, HttpResponse } from '../../../lib/http-exchange.ts'
import { sendMethodNotAllowed, sendText } from './answer.ts'
import { sendMetrics, type MetricsPage } from './metrics-page.ts'
import { sendVersion } from './version.ts'

export interface IdleProbeOptions {
  readonly notReadyReason: () => string | undefined
  readonly metrics: MetricsPage
  readonly log: { error(fields: object, message: string): void }
}

export function idleProbes({ notReadyReason, metrics, log }: IdleProbeOptions): HttpHandler {
  const reason = (): string => notReadyReason() ?? 'starting'
  const routes: Readonly<Record<string, (response: HttpResponse) => void>> = {
    // Alive means that this loop turns: a member that waits must not be restarted for it.
    '/livez': (response) => sendText(response, 200, 'ok\n'),
    '/readyz': (response) => sendText(response, 503, `${reason()}\n`),
    '/health': (response) => sendText(response, 503, `${JSON.stringify({ health: 'false', reason: reason() })}\n`),
    '/version': sendVersion,
    '/metrics': (response) => {
      sendMetrics(response, metrics).catch((error: unknown) => {
        log.error({ err: error }, 'an HTTP request failed')
        if (response.headersSent) response.destroy()
        else sendText(response, 500, 'Internal Server Error\n')
      })
    },
  }
  return (request, response) => {
    const [path = ''] = (request.url ?? '').split('?')
    const route = Object.hasOwn(routes, path) ? routes[path] : undefined
    if (route === undefined) sendText(response, 404, '404 page not found\n')
    else if (request.method !== 'GET') sendMethodNotAllowed(response, 'GET')
    else route(response)
  }
}
