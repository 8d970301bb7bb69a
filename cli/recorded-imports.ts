/** Loaded beside the command line (`node --import`): which modules it is made of is written to the file that the variable names. */
import { writeFileSync } from 'node:fs'
import { isBuiltin, registerHooks } from 'node:module'

/** Where a module finds another: `URL of the one, a blank, what it imports` → URL of the other. */
const resolved: Record<string, string> = {}
const file = process.env['RAFTKV_RECORDED_IMPORTS'] ?? ''

registerHooks({
  resolve(specifier, context, next) {
    const found = next(specifier, context)
    if (!isBuiltin(specifier) && context.parentURL !== undefined)
      resolved[`${context.parentURL} ${specifier}`] = found.url
    return found
  },
})
process.on('exit', () => writeFileSync(file, JSON.stringify(resolved)))
