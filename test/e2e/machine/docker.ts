/** A Docker engine of the run's own, for building images; it ends with the work it was started for. */
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { attempt, daemon, run, type RunOptions } from '../process.ts'
import { waitFor } from '../wait.ts'

/** Runs one docker command and returns what it printed. */
export type Docker = (args: readonly string[], options?: RunOptions) => Promise<string>

/**
 * The engine lives in process and mount namespaces of its own, so that nothing of it can stay behind; it shares the
 * network, because building the image needs a package registry.
 */
const START = `mount -t tmpfs tmpfs /run && exec dockerd --data-root "$1" -H "unix://$2" --exec-root /run/docker \
  --pidfile /run/docker.pid --iptables=false --ip6tables=false --bridge=none`

export async function withDocker<Value>(cache: string, work: (docker: Docker) => Promise<Value>): Promise<Value> {
  const dataRoot = join(cache, 'docker')
  mkdirSync(dataRoot, { recursive: true })
  const scratch = mkdtempSync(join(tmpdir(), 'raftkv-e2e-')) // a socket's path may have 107 bytes: the cache's may be longer
  const clean = (): void => rmSync(scratch, { recursive: true, force: true })
  process.once('exit', clean)
  const socket = join(scratch, 'docker.sock')
  const logPath = join(cache, 'dockerd.log')
  rmSync(logPath, { force: true })
  const namespaces = ['unshare', '--pid', '--mount', '--fork', '--mount-proc', '--kill-child']
  const engine = daemon(
    ['setpriv', '--pdeathsig', 'KILL', ...namespaces, 'sh', '-c', START, '-', dataRoot, socket],
    logPath,
    cache,
  )
  const ended = new Promise<void>((resolve) => {
    engine.once('exit', () => resolve())
  })
  // The engine's own command line first: another one earlier in PATH may speak to another engine.
  const program = existsSync('/usr/bin/docker') ? '/usr/bin/docker' : 'docker'
  const env = { DOCKER_HOST: `unix://${socket}`, DOCKER_BUILDKIT: '0' }
  try {
    await waitFor('the Docker engine', { timeoutMs: 60_000 }, async () => {
      const answer = await attempt([program, 'info'], { env })
      if (answer.code === 0) return true
      throw new Error(engine.exitCode === null ? answer.stderr.trim() : `it ended: ${tail(logPath)}`)
    })
    return await work((args, options) => run([program, ...args], { ...options, env: { ...options?.env, ...env } }))
  } finally {
    engine.kill('SIGKILL')
    await ended
    process.off('exit', clean)
    clean()
  }
}

function tail(path: string): string {
  return readFileSync(path, 'utf8').trim().split('\n').slice(-5).join('\n')
}
