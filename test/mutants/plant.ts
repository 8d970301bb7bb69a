/**
 * Plants one bug in the program while it is loaded: an exact piece of the source of one file becomes another. The files on
 * the disk stay as they are. To be called before anything of the program is imported.
 */
import { registerHooks, type ModuleSource } from 'node:module'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'

export interface Mutant {
  /** What is wrong, in the words of the class of bug. */
  readonly name: string
  /** From the top of the repository. */
  readonly file: string
  /** Stands there exactly once. */
  readonly find: string
  readonly replace: string
}

const ROOT = join(import.meta.dirname, '..', '..')

/** Returns whether the file has been loaded since, and with it the bug. Throws there when `find` is not in it once. */
export function plant(mutant: Mutant): () => boolean {
  const target = pathToFileURL(join(ROOT, mutant.file)).href
  let isPlanted = false
  registerHooks({
    load(url, context, nextLoad) {
      const loaded = nextLoad(url, context)
      if (url !== target) return loaded
      const source = textOf(loaded.source)
      const parts = source.split(mutant.find)
      if (parts.length !== 2)
        throw new Error(
          `${mutant.name}: the place is ${parts.length - 1} times in ${mutant.file}; it must be there once`,
        )
      isPlanted = true
      return { ...loaded, source: parts.join(mutant.replace) }
    },
  })
  return () => isPlanted
}

function textOf(source: ModuleSource | undefined): string {
  return typeof source === 'string' ? source : new TextDecoder().decode(source)
}
