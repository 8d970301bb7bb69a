/** A headless Chromium, driven by its DevTools protocol over the WebSocket that Node has: as much of it as looking at a page takes. */
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { z } from 'zod'
import type { Chromium } from '../e2e/machine/chromium.ts'

const START_MS = 30_000
const UNTIL_MS = 20_000

export interface View {
  readonly width: number
  readonly height: number
  readonly isDark: boolean
}

const Answer = z.object({ id: z.number().optional(), method: z.string().optional(), result: z.unknown().optional(), error: z.unknown().optional(), params: z.unknown().optional() }) // prettier-ignore

export class Browser {
  /** What the page has complained of: exceptions, refusals of its Content-Security-Policy, answers with an error. */
  readonly complaints: string[] = []
  readonly #process: ChildProcess
  readonly #profile: string
  readonly #socket: WebSocket
  readonly #waiting = new Map<number, PromiseWithResolvers<unknown>>()
  #lastId = 0

  private constructor(process: ChildProcess, profile: string, socket: WebSocket) {
    this.#process = process
    this.#profile = profile
    this.#socket = socket
    socket.addEventListener('message', ({ data }) => this.#received(Answer.parse(JSON.parse(String(data)))))
  }

  static async start({ program, env }: Chromium): Promise<Browser> {
    const profile = mkdtempSync(join(tmpdir(), 'raftkv-chromium-'))
    const flags = ['--headless', '--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage', '--no-first-run', '--hide-scrollbars'] // prettier-ignore
    const args = [...flags, '--remote-debugging-port=0', `--user-data-dir=${profile}`, 'about:blank']
    const child = spawn(program, args, { env: { ...process.env, ...env }, stdio: ['ignore', 'ignore', 'pipe'] })
    const url = await debuggerUrl(child)
    const { host } = new URL(url)
    const targets = z.array(z.object({ type: z.string(), webSocketDebuggerUrl: z.string() }))
    const answer: unknown = await (await fetch(`http://${host}/json/list`)).json()
    const page = targets.parse(answer).find(({ type }) => type === 'page')
    if (page === undefined) throw new Error('Chromium has no page')
    const socket = new WebSocket(page.webSocketDebuggerUrl)
    await once(socket, 'open')
    const browser = new Browser(child, profile, socket)
    for (const domain of ['Page', 'Runtime', 'Log']) await browser.#ask(`${domain}.enable`)
    return browser
  }

  async look({ width, height, isDark }: View): Promise<void> {
    const mobile = width < 600
    await this.#ask('Emulation.setDeviceMetricsOverride', { width, height, deviceScaleFactor: mobile ? 2 : 1, mobile })
    const features = [{ name: 'prefers-color-scheme', value: isDark ? 'dark' : 'light' }]
    await this.#ask('Emulation.setEmulatedMedia', { features })
  }

  async open(url: string): Promise<void> {
    await this.#ask('Page.navigate', { url })
  }

  /** Its value, which must be JSON. */
  async evaluate(expression: string): Promise<unknown> {
    const asked = { expression, returnByValue: true, awaitPromise: true }
    const answer = await this.#ask('Runtime.evaluate', asked)
    const { result, exceptionDetails } = z.object({ result: z.object({ value: z.unknown().optional() }), exceptionDetails: z.unknown().optional() }).parse(answer) // prettier-ignore
    if (exceptionDetails !== undefined) throw new Error(`${expression}: ${JSON.stringify(exceptionDetails)}`)
    return result.value
  }

  /** Until it is true. */
  async until(expression: string): Promise<void> {
    for (const startedMs = performance.now(); (await this.evaluate(expression)) !== true; await sleep(50))
      if (performance.now() - startedMs > UNTIL_MS)
        throw new Error(`never so: ${expression}\n${this.complaints.join('\n')}`)
  }

  async press(key: string): Promise<void> {
    const down = key === 'Tab' ? { type: 'rawKeyDown', windowsVirtualKeyCode: 9 } : { type: 'keyDown', text: key }
    await this.#ask('Input.dispatchKeyEvent', { key, ...down })
    await this.#ask('Input.dispatchKeyEvent', { type: 'keyUp', key })
  }

  /** A PNG, of the whole page. */
  async screenshot(): Promise<Buffer> {
    const answer = await this.#ask('Page.captureScreenshot', { captureBeyondViewport: true })
    return Buffer.from(z.object({ data: z.string() }).parse(answer).data, 'base64')
  }

  async close(): Promise<void> {
    this.#socket.close()
    const ended = once(this.#process, 'exit')
    this.#process.kill('SIGKILL')
    await ended
    rmSync(this.#profile, { recursive: true, force: true, maxRetries: 5 })
  }

  async #ask(method: string, params: object = {}): Promise<unknown> {
    const id = ++this.#lastId
    const answer = Promise.withResolvers<unknown>()
    this.#waiting.set(id, answer)
    this.#socket.send(JSON.stringify({ id, method, params }))
    return answer.promise
  }

  #received({ id, method, result, error, params }: z.output<typeof Answer>): void {
    if (method === 'Runtime.exceptionThrown' || method === 'Log.entryAdded')
      this.complaints.push(JSON.stringify(params))
    const waiting = id === undefined ? undefined : this.#waiting.get(id)
    if (id === undefined || waiting === undefined) return
    this.#waiting.delete(id)
    if (error === undefined) waiting.resolve(result)
    else waiting.reject(new Error(JSON.stringify(error)))
  }
}

async function debuggerUrl(child: ChildProcess): Promise<string> {
  const found = Promise.withResolvers<string>()
  let said = ''
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    said += text
    const [, url] = /DevTools listening on (ws:\S+)/.exec(said) ?? []
    if (url !== undefined) found.resolve(url)
  })
  child.once('error', found.reject)
  child.once('exit', (code) => found.reject(new Error(`Chromium ended with ${code}: ${said}`)))
  const timer = setTimeout(() => found.reject(new Error(`Chromium does not begin: ${said}`)), START_MS)
  return found.promise.finally(() => clearTimeout(timer))
}
