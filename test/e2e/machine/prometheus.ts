/** Prometheus and its promtool: those in PATH, or of the Debian package, which is unpacked and not installed. */
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { isInstalled, run } from '../process.ts'

export interface Prometheus {
  readonly prometheus: string
  readonly promtool: string
}

/** `cache` keeps what is unpacked. */
export async function ensurePrometheus(cache: string): Promise<Prometheus> {
  const installed = { prometheus: 'prometheus', promtool: 'promtool' }
  if ((await isInstalled(installed.prometheus)) && (await isInstalled(installed.promtool))) return installed
  const folder = join(cache, 'prometheus')
  const unpacked = prometheusIn(cache)
  if (existsSync(unpacked.prometheus)) return unpacked
  if (!(await isInstalled('apt-get')))
    throw new Error('Prometheus is needed, with promtool, and is not in PATH: install it')
  const download = mkdtempSync(join(tmpdir(), 'raftkv-prometheus-'))
  try {
    await run(['apt-get', 'update', '-qq'])
    await run(['apt-get', 'download', '-qq', 'prometheus'], { cwd: download })
    const [file] = readdirSync(download)
    if (file === undefined) throw new Error('apt-get has downloaded nothing')
    mkdirSync(folder, { recursive: true })
    await run(['dpkg', '-x', join(download, file), folder])
  } finally {
    rmSync(download, { recursive: true })
  }
  return unpacked
}

/** Where {@link ensurePrometheus} has unpacked them. */
function prometheusIn(cache: string): Prometheus {
  const programs = join(cache, 'prometheus', 'usr', 'bin')
  return { prometheus: join(programs, 'prometheus'), promtool: join(programs, 'promtool') }
}
