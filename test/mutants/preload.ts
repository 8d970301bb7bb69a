/** Given to the child by `--import`, so that it runs before the first module of the product is loaded. */
import { plantFromEnvironment } from './plant.ts'

plantFromEnvironment()
