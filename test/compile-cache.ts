/**
 * Loaded before every test file (package.json): hundreds of processes, those that tests start among them, run the same
 * sources; the first one leaves them without their types and compiled.
 */
import { enableCompileCache } from 'node:module'
import { join } from 'node:path'

const directory = join(import.meta.dirname, '..', '.cache', 'compile')
enableCompileCache(directory)
process.env['NODE_COMPILE_CACHE'] = directory
