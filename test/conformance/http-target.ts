/** An API server over HTTP, as the cases see it. */
import { setTimeout as delay } from 'node:timers/promises'
import { Agent, request as send } from 'undici'
import type { Answer, Calls, Request, Target } from './case.ts'
import { normalized } from './normalize.ts'

const WATCH_MS = 5000
const SETTLE_MS = 15_000
const LOOK_MS = 50

export interface HttpTargetOptions {
  readonly name: string
  readonly url: string
  readonly tokens: Readonly<Record<'admin' | 'reader', string>>
  readonly forget: () => Promise<void>
  readonly startControllers: () => Promise<void>
  readonly close: () => Promise<void>
}

export function httpTarget({ name, url, tokens, forget, startControllers, close }: HttpTargetOptions): Target {
  // Both servers have just signed their certificates themselves.
  const agent = new Agent({ connect: { rejectUnauthorized: false } })
  const open = (request: Request, signal?: AbortSignal): ReturnType<typeof send> => {
    const { method = 'GET', path, body, contentType = 'application/json', accept = 'application/json' } = request
    const headers = { authorization: `Bearer ${tokens[request.as ?? 'admin']}`, 'user-agent': 'conformance' }
    return send(`${url}${path}`, {
      method,
      dispatcher: agent,
      headers: { ...headers, accept, ...(body === undefined ? {} : { 'content-type': contentType }) },
      ...(body === undefined
        ? {}
        : { body: typeof body === 'string' || body instanceof Uint8Array ? body : JSON.stringify(body) }),
      ...(signal === undefined ? {} : { signal }),
    })
  }
  const call = async (request: Request): Promise<Answer> => {
    const { statusCode, headers: answered, body } = await open(request)
    const text = await body.text()
    return { status: statusCode, warnings: warningsOf(answered['warning']), body: parsed(text) }
  }
  const watch = async (path: string, count: number): Promise<readonly unknown[]> => {
    const signal = AbortSignal.timeout(WATCH_MS)
    const events: unknown[] = []
    try {
      const { body } = await open({ path }, signal)
      let text = ''
      for await (const chunk of body) {
        text += String(chunk)
        const lines = text.split('\n')
        text = lines.pop() ?? ''
        events.push(...lines.map(parsed))
        if (events.length >= count) break
      }
      if (text !== '') events.push(parsed(text))
    } catch (error) {
      if (!signal.aborted) throw error
    }
    return events.slice(0, count)
  }
  return {
    name,
    startControllers,
    calls: () => {
      const answers: unknown[] = []
      const calls: Calls = {
        send: async (request) => {
          const answer = await call(request)
          answers.push(normalized(answer))
          return answer
        },
        ask: async (request) => {
          const answer = await call(request)
          if (answer.status >= 300) {
            const { method = 'GET', path } = request
            throw new Error(`${name}: ${method} ${path}: ${answer.status} ${JSON.stringify(answer.body)}`)
          }
          return answer
        },
        forget,
        settled: async (request, isThere, view) => {
          const endMs = performance.now() + SETTLE_MS
          let { body } = await call(request)
          for (; !isThere(body) && performance.now() < endMs; { body } = await call(request)) await delay(LOOK_MS)
          answers.push(normalized({ settled: view(body) }))
        },
        watch: async (path, count) => {
          const events = await watch(path, count)
          answers.push(normalized({ events }))
          return events
        },
      }
      return { ...calls, answers }
    },
    close: async () => {
      await agent.close()
      await close()
    },
  }
}

/** Until the path is served; what it answers is compared with nothing. */
export async function untilServed({ calls }: Target, path: string): Promise<void> {
  for (let tries = 0; tries < 300; tries++) {
    const { status } = await calls().send({ path })
    if (status === 200) return
    await delay(100)
  }
  throw new Error(`${path} is not served`)
}

function warningsOf(header: string | string[] | undefined): readonly string[] {
  const text = Array.isArray(header) ? header.join(', ') : (header ?? '')
  return [...text.matchAll(/299 - "((?:[^"\\]|\\.)*)"/g)].map(([, words]) => words ?? '')
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return text
  }
}
