//! trueup
