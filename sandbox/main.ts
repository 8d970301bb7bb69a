/**
 * `npm start`: RaftKV with a stand-in for Kubernetes on this machine. Only this file's first lines run uncompiled: all
 * else is imported when the compile cache is on, which halves the second start.
 */
import { enableCompileCache } from 'node:module'
import { join } from 'node:path'

const ROOT = join(import.meta.dirname, '..')
const COMPILE_CACHE = join(ROOT, '.cache', 'compile')

enableCompileCache(COMPILE_CACHE)
const { main } = await import('./start/main.ts')
process.exitCode = await main(process.argv.slice(2), ROOT, COMPILE_CACHE)
