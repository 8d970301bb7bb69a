/**
 * The admin API (contract: lib/admin-api.ts) with /metrics, /livez and /readyz beside it, as an express app.
 *
 * Reading needs no token; changing does. Answers are JSON, errors are `AdminError` with the status code of their kind.
 */
import express, { type ErrorRequestHandler, type Express, type Request, type Response } from 'express'
import { ADMIN_PATHS, ADMIN_STATUS_CODES, type AdminError } from '../../../lib/admin-api.ts'
import type { Result } from '../../../lib/result.ts'
import type { AdminPort } from '../../node/lifecycle/admin-port.ts'
import { refusal } from './authorize.ts'
import { readJson } from './body.ts'
import {
  parseBootstrap,
  parseJoin,
  parseLeaderTransfer,
  parseMembership,
  parseRecover,
  parseUpkeep,
  type Parse,
} from './requests.ts'

export interface AdminAppOptions {
  readonly member: AdminPort
  /** Any of them is what changes need; undefined when none is configured. Throws when the file cannot be read. */
  readonly readTokens: () => readonly string[] | undefined
  readonly metrics: { readonly contentType: string; text(): Promise<string> }
  readonly log: { error(fields: object, message: string): void }
}

export function adminApp(options: AdminAppOptions): Express {
  const { member } = options
  const app = express().disable('x-powered-by')

  app.get(ADMIN_PATHS.status, (_request, response) => {
    response.json(member.status())
  })
  app.get('/metrics', async (_request, response) => {
    response.type(options.metrics.contentType).send(await options.metrics.text())
  })
  // Alive means that this loop turns: a member that waits or has lost its leader must not be restarted for it.
  app.get('/livez', (_request, response) => {
    response.type('text/plain').send('ok\n')
  })
  app.get('/readyz', (_request, response) => {
    const reason = member.notReadyReason()
    response
      .status(reason === undefined ? 200 : 503)
      .type('text/plain')
      .send(`${reason ?? 'ok'}\n`)
  })

  const authorized: express.RequestHandler = (request, response, next) => {
    const caller = { authorization: request.get('authorization'), remoteAddress: request.socket.remoteAddress }
    const error = refusal(caller, options.readTokens())
    if (error === undefined) next()
    else sendError(response, error)
  }
  const change = <Body, Answer>(
    path: string,
    parse: Parse<Body>,
    act: (body: Body) => Promise<Result<Answer, AdminError>>,
  ): void => {
    app.post(path, authorized, async (request: Request, response: Response) => {
      const json = await readJson(request)
      if (!json.ok) {
        const message = `the body is not JSON of this API: ${json.error}`
        return sendError(response, { code: 'BadRequest', message })
      }
      const body = parse(json.value)
      if (!body.ok) return sendError(response, { code: 'BadRequest', message: body.error })
      const answer = await act(body.value)
      if (answer.ok) response.json(answer.value)
      else sendError(response, answer.error)
    })
  }
  change(ADMIN_PATHS.bootstrap, parseBootstrap, (body) => member.bootstrap(body))
  change(ADMIN_PATHS.join, parseJoin, (body) => member.join(body))
  change(ADMIN_PATHS.membership, parseMembership, (body) => member.changeMembership(body))
  change(ADMIN_PATHS.leaderTransfer, parseLeaderTransfer, (body) => member.transferLeader(body))
  change(ADMIN_PATHS.recover, parseRecover, (body) => member.recover(body))
  change(ADMIN_PATHS.upkeep, parseUpkeep, (body) => member.keepUp(body))

  app.use((request, response) => {
    sendError(response, {
      code: 'NotFound',
      message: `there is no ${request.method} ${request.path}; the admin API is under /admin/v1/`,
    })
  })
  app.use(onError(options))
  return app
}

function sendError(response: Response, error: AdminError): void {
  response.status(ADMIN_STATUS_CODES[error.code]).json(error)
}

/** Four parameters: that is how express knows an error handler. */
function onError(options: AdminAppOptions): ErrorRequestHandler {
  return (error: unknown, request, response, next) => {
    if (response.headersSent) return next(error)
    const { statusCode } = error instanceof Error && 'statusCode' in error ? error : { statusCode: 500 }
    if (typeof statusCode === 'number' && statusCode < 500) {
      const message = error instanceof Error ? error.message : 'unreadable request'
      return sendError(response, { code: 'BadRequest', message: `the request cannot be read: ${message}` })
    }
    options.log.error({ err: error, path: request.path }, 'an admin request failed')
    sendError(response, { code: 'Internal', message: 'the member could not carry this out; its log has the reason' })
  }
}
