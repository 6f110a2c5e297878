// Services for tests.

export { model, NO_FIGURES, run, some, split } from '../../lib/host/fake-data/services/parts';
