/** The sandbox's API server and its control loops, in this process. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pino } from 'pino'
import { systemClock } from '../../lib/system-clock.ts'
import { startApiServer } from '../../sandbox/api-server/main.ts'
import { connect } from '../../sandbox/client/client.ts'
import { Mirrors } from '../../sandbox/client/mirrors.ts'
import { startControllers } from '../../sandbox/controllers/start.ts'
import type { Target } from './case.ts'
import { httpTarget } from './http-target.ts'

const TOKENS = { admin: 'conformance', reader: 'conformance-reader' }

export async function startSandbox(): Promise<Target> {
  const server = await startApiServer({
    listen: { host: '127.0.0.1', port: 0 },
    adminToken: TOKENS.admin,
    tokens: [{ token: TOKENS.reader, name: 'reader', groups: [] }],
    authorization: 'rbac',
  })
  const closing: (() => Promise<void>)[] = [async () => server.close()]
  return httpTarget({
    name: 'sandbox',
    url: server.url,
    tokens: TOKENS,
    forget: async () => Promise.resolve(server.compact()),
    startControllers: async () => void closing.push(await startLoops(server.url)),
    close: async () => {
      for (const close of closing.toReversed()) await close()
    },
  })
}

/** Returns what stops them. */
async function startLoops(url: string): Promise<() => Promise<void>> {
  const volumesDirectory = mkdtempSync(join(tmpdir(), 'raftkv-conformance-'))
  const logger = pino({ level: 'silent' })
  const connection = connect({ url, token: TOKENS.admin, ca: undefined })
  const { client } = connection
  const mirrors = new Mirrors({ client, clock: systemClock, onProblem: () => undefined })
  const onFatal = (error: Error): never => {
    throw error
  }
  const controllers = await startControllers({ client, mirrors, logger, onFatal, volumesDirectory })
  return async () => {
    await controllers.stop()
    await mirrors.stop()
    await connection.close()
    rmSync(volumesDirectory, { recursive: true, force: true })
  }
}
