/** Chromium: the one in PATH, or of the Debian packages, which are unpacked and not installed. */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { isInstalled } from '../process.ts'
import { librariesIn, unpackPackages } from './debian.ts'

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
  if (!existsSync(program)) await unpackPackages('Chromium', ['chromium', 'fonts-dejavu-core'], folder)
  return { program, env: { LD_LIBRARY_PATH: librariesIn(folder) } }
}
