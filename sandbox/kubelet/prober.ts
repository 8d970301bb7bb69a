/** Asks a container how it is: HTTP, TCP, a command, or gRPC's health service. */
import { spawn } from 'node:child_process'
import { request as httpRequest } from 'node:http'
import { connect as connectHttp2 } from 'node:http2'
import { request as httpsRequest } from 'node:https'
import { connect } from 'node:net'
import type { Container, Probe } from './pod.ts'
import { beginProbe, countProbe } from './probe-state.ts'

export interface ProbeTarget {
  readonly address: string
  readonly container: Container
  /** Runs a command in the container's surroundings. */
  readonly exec: (command: readonly string[]) => {
    readonly commandLine: readonly string[]
    readonly directory: string
    readonly variables: Readonly<Record<string, string>>
  }
}

/** Undefined when all is well, otherwise what was seen. */
export async function probeOnce(probe: Probe, target: ProbeTarget): Promise<string | undefined> {
  const timeoutMs = probe.timeoutSeconds * 1000
  const { httpGet, tcpSocket, exec, grpc } = probe
  if (httpGet !== undefined) return probeHttp(httpGet, target, timeoutMs)
  if (tcpSocket !== undefined) {
    return probeTcp(tcpSocket.host ?? target.address, portOf(tcpSocket.port, target), timeoutMs)
  }
  if (exec !== undefined) return probeExec(exec.command, target, timeoutMs)
  if (grpc !== undefined) return probeGrpc(target.address, grpc.port, grpc.service ?? '', timeoutMs)
  return undefined
}

function portOf(port: number | string, { container }: ProbeTarget): number {
  if (typeof port === 'number') return port
  return container.ports.find(({ name }) => name === port)?.containerPort ?? 0
}

async function probeHttp(
  { path, port, host, scheme, httpHeaders }: NonNullable<Probe['httpGet']>,
  target: ProbeTarget,
  timeoutMs: number,
): Promise<string | undefined> {
  const send = scheme === 'HTTPS' ? httpsRequest : httpRequest
  const headers = Object.fromEntries(httpHeaders.map(({ name, value }) => [name, value]))
  return new Promise((resolve) => {
    const request = send({
      host: host ?? target.address,
      port: portOf(port, target),
      path: path.startsWith('/') ? path : `/${path}`,
      headers: { 'user-agent': 'kube-probe/sandbox', ...headers },
      agent: false,
      // As a kubelet: a probe asks whether somebody answers, not who.
      rejectUnauthorized: false,
      signal: AbortSignal.timeout(timeoutMs),
    })
    request.on('error', (error) => resolve(error.message))
    request.on('response', (response) => {
      response.on('error', () => undefined)
      response.resume()
      const code = response.statusCode ?? 0
      resolve(code >= 200 && code < 400 ? undefined : `HTTP probe failed with statuscode: ${code}`)
    })
    request.end()
  })
}

async function probeTcp(host: string, port: number, timeoutMs: number): Promise<string | undefined> {
  return new Promise((resolve) => {
    const socket = connect({ host, port, timeout: timeoutMs })
    const end = (result: string | undefined): void => {
      socket.destroy()
      resolve(result)
    }
    socket.on('connect', () => end(undefined))
    socket.on('timeout', () => end(`no connection to ${host}:${port} within ${timeoutMs} ms`))
    socket.on('error', (error) => end(error.message))
  })
}

async function probeExec(
  command: readonly string[],
  target: ProbeTarget,
  timeoutMs: number,
): Promise<string | undefined> {
  const { commandLine, directory, variables } = target.exec(command)
  const [program = '', ...args] = commandLine
  return new Promise((resolve) => {
    const options = {
      cwd: directory,
      env: variables,
      stdio: 'ignore',
      timeout: timeoutMs,
      killSignal: 'SIGKILL',
    } as const
    const child = spawn(program, args, options)
    child.on('error', (error) => resolve(error.message))
    child.on('exit', (code) => resolve(code === 0 ? undefined : `command ended with ${code ?? 'a signal'}`))
  })
}

/** grpc.health.v1.Health/Check: field 1 of the request is the service, field 1 of the answer the status, 1 is SERVING. */
async function probeGrpc(
  address: string,
  port: number,
  service: string,
  timeoutMs: number,
): Promise<string | undefined> {
  const name = Buffer.from(service)
  const message = name.length === 0 ? name : Buffer.concat([Buffer.from([0x0a, name.length]), name])
  const head = Buffer.alloc(5)
  head.writeUInt32BE(message.length, 1)
  const session = connectHttp2(`http://${address}:${port}`)
  const answered = new Promise<string | undefined>((resolve) => {
    const timer = setTimeout(() => resolve(`no answer within ${timeoutMs} ms`), timeoutMs)
    session.on('error', (error: Error) => resolve(error.message))
    session.on('close', () => clearTimeout(timer))
    const stream = session.request({
      ':method': 'POST',
      ':path': '/grpc.health.v1.Health/Check',
      'content-type': 'application/grpc',
      te: 'trailers',
    })
    const chunks: Buffer[] = []
    stream.on('data', (chunk: Buffer) => chunks.push(chunk))
    stream.on('error', (error) => resolve(error.message))
    stream.on('end', () => {
      const body = Buffer.concat(chunks).subarray(5)
      resolve(body[0] === 0x08 && body[1] === 1 ? undefined : 'the service does not say SERVING')
    })
    stream.end(Buffer.concat([head, message]))
  })
  const result = await answered
  session.destroy()
  return result
}

export interface Probing {
  stop(): void
}

export interface ProbingOptions {
  readonly probe: Probe
  readonly target: ProbeTarget
  /** A liveness probe begins as passing, the others as failing. */
  readonly isPassing: boolean
  /** Called when the verdict changes, and never after `stop`. */
  readonly onVerdict: (isPassing: boolean, message: string) => void
  /** Called when a probe that has never passed has failed `failureThreshold` times; it goes on all the same. */
  readonly onFailure?: (message: string) => void
}

/**
 * Between two periods it looks this often whether a container has become ready, since a person waits for it: only
 * successes count then, failures are counted once a period.
 */
const IMPATIENT_MS = 100

/** Runs until stopped. */
export function startProbing({ probe, target, isPassing, onVerdict, onFailure }: ProbingOptions): Probing {
  let state = beginProbe(isPassing)
  let timer: NodeJS.Timeout | undefined
  let isStopped = false
  /** In a row, while it has not passed. */
  let failures = 0
  let countAtMs = performance.now() + probe.initialDelaySeconds * 1000
  const look = async (): Promise<void> => {
    const isDue = performance.now() >= countAtMs
    const problem = await probeOnce(probe, target)
    if (isStopped) return
    if (isDue) countAtMs = performance.now() + probe.periodSeconds * 1000
    const before = state.isPassing
    if (problem === undefined) failures = 0
    else if (isDue && ++failures === probe.failureThreshold && !state.isPassing) onFailure?.(problem)
    if (isDue || problem === undefined) state = countProbe(state, problem === undefined, probe)
    if (state.isPassing !== before) onVerdict(state.isPassing, problem ?? '')
    // `onVerdict` may have stopped it.
    if (!isStopped) next()
  }
  const next = (): void => {
    const dueMs = Math.max(1, countAtMs - performance.now())
    timer = setTimeout(() => void look(), state.isPassing ? dueMs : Math.min(dueMs, IMPATIENT_MS))
  }
  timer = setTimeout(() => void look(), probe.initialDelaySeconds * 1000)
  return {
    stop: () => {
      isStopped = true
      clearTimeout(timer)
    },
  }
}
