/** Chromium: the one in PATH, or of the Debian packages, which are unpacked and not installed. */
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { isInstalled, run } from '../process.ts'

export interface Chromium {
  readonly program: string
  /** Variables that it needs. */
  readonly env: Readonly<Record<string, string>>
}

/** `cache` keeps what is unpacked. */
export async function ensureChromium(cache: string): Promise<Chromium> {
  for (const program of ['chromium', 'chromium-browser', 'google-chrome'])
    if (await isInstalled(program)) return { program, env: {} }
  const folder = join(cache, 'chromium')
  const program = join(folder, 'usr', 'lib', 'chromium', 'chromium')
  if (!existsSync(program)) await unpack(folder)
  const libraries = readdirSync(join(folder, 'usr', 'lib'), { recursive: true, encoding: 'utf8' })
    .filter((path) => /-linux-gnu(\/pulseaudio)?$/.test(path))
    .map((path) => join(folder, 'usr', 'lib', path))
  return { program, env: { LD_LIBRARY_PATH: libraries.join(':') } }
}

/** With all that it needs and this machine lacks. */
async function unpack(folder: string): Promise<void> {
  if (!(await isInstalled('apt-get'))) throw new Error('Chromium is needed, and is not in PATH: install it')
  const download = mkdtempSync(join(tmpdir(), 'raftkv-chromium-'))
  try {
    await run(['apt-get', 'update', '-qq'])
    const plan = await run(['apt-get', '--simulate', '--no-install-recommends', 'install', 'chromium', 'fonts-dejavu-core']) // prettier-ignore
    const packages = [...plan.matchAll(/^Inst (\S+)/gm)].map(([, name = '']) => name)
    await run(['apt-get', 'download', '-qq', ...packages], { cwd: download })
    mkdirSync(folder, { recursive: true })
    for (const file of readdirSync(download)) await run(['dpkg', '-x', join(download, file), folder])
  } finally {
    rmSync(download, { recursive: true })
  }
}
