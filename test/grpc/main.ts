/**
 * What others know about HTTP/2 and gRPC, held against the built-in engine: h2spec, which tries every rule of RFC 9113 and RFC
 * 7541 on one address, and gRPC's own interoperability tests with the client of grpc-go, over TCP and over a unix socket.
 */
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { HttpHandler } from '../../lib/http-exchange.ts'
import { serveBuiltIn } from '../../node-server/grpc/built-in.ts'
import type { RpcObserver } from '../../node-server/grpc/service.ts'
import { DEFAULT_LIMITS } from '../../node-server/listen/limits.ts'
import { ensureGrpcClients } from '../e2e/machine/peers.ts'
import { attempt } from '../e2e/process.ts'
import { createReport } from '../e2e/report.ts'
import { parseSettings } from '../e2e/settings.ts'
import { TEST_SERVICE } from './test-service.ts'

/** The interoperability tests send messages of 271,828 bytes at most. */
const MAX_RECEIVE_BYTES = 1024 * 1024
const LIMIT_MS = 120_000

const observer: RpcObserver = {
  method: () => ({ started: () => undefined, handled: () => undefined }),
  receivedBytes: () => undefined,
  sentBytes: () => undefined,
  failed: (path, error) => console.error(path, error),
}

/** h2spec wants the whole request read, and an answer with a body. */
const hello: HttpHandler = (request, response) => {
  request.on('end', () => response.end('hello')).resume()
}

async function main(): Promise<number> {
  const settings = parseSettings({ ...process.env, KUBECONFIG: undefined, RAFTKV_E2E_IMAGE: undefined }, ROOT)
  if (!settings.ok) throw new Error(settings.problem)
  const { cache, root } = settings.settings
  mkdirSync(cache, { recursive: true })
  const programs = await ensureGrpcClients(createReport(console.log, Date.now), root, cache)
  const directory = mkdtempSync(join(tmpdir(), 'raftkv-grpc-'))
  const path = join(directory, 'grpc.sock')
  const server = await serveBuiltIn({
    listenURLs: ['http://127.0.0.1:0', `unix://${path}`],
    services: TEST_SERVICE,
    maxReceiveBytes: MAX_RECEIVE_BYTES,
    observer,
    handleRequest: hello,
    // One of its cases goes to this limit.
    limits: { ...DEFAULT_LIMITS, maxConcurrentStreams: 100 },
  })
  try {
    const [address = ''] = server.addresses
    const [host = '', port = ''] = address.split(':')
    const passed = [
      await passes('h2spec', [programs.h2spec, '--host', host, '--port', port, '--timeout', '10']),
      await passes('interoperability, TCP', [programs.interop, '--address', address]),
      await passes('interoperability, unix socket', [programs.interop, '--address', `unix:${path}`]),
    ]
    return passed.every(Boolean) ? 0 : 1
  } finally {
    await server.stop(0)
    rmSync(directory, { recursive: true })
  }
}

async function passes(what: string, command: readonly string[]): Promise<boolean> {
  const { code, stdout, stderr } = await attempt(command, { timeoutMs: LIMIT_MS })
  const isPassed = code === 0
  console.log(`${isPassed ? 'ok    ' : 'FAILED'} ${what}: ${stdout.trim().split('\n').at(-1) ?? ''}`)
  if (!isPassed) console.log(`${stdout}\n${stderr}`)
  return isPassed
}

const ROOT = join(import.meta.dirname, '..', '..')

process.exitCode = await main()
